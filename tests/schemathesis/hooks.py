"""How lines of JSON are written and read, which schemathesis does not know by itself."""

import json

import schemathesis

LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def write(context, value):
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.deserializer(LINES)
def read(context, response):
    return [json.loads(line) for line in response.content.splitlines()]
