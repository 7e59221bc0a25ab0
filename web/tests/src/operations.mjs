// The operations of the API that take JSON, as its description tells of them, with a body of each that is all right.

import { stage } from './stage.mjs';

let description;

/** Those that the holder of `token` may be let into. */
export async function operations(token) {
  description ??= await (await fetch(`${stage.url}/openapi.json`)).json();
  const found = [];
  for (const [path, item] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const schema = operation.requestBody?.content?.['application/json']?.schema;
      if (!schema) continue;
      const body = example(schema);
      const words = `${method.toUpperCase()} ${path}`;
      const send = async (sent) => request(token, method, await filled(token, path), sent);
      if ((await send(body)).status !== 403) found.push({ words, schema, body, send });
    }
  }
  return found;
}

/** Every string in the body of an operation: where it is, and the body with other words there. */
export function stringsOf(operation) {
  const strings = [];
  walk(operation.schema, operation.body, [], (path) => {
    const pointer = `/${path.join('/')}`;
    const put = (words) => replaced(operation.body, path, words);
    strings.push({ pointer, put, isName: /^(name|domain)$/.test(path.at(-1)) });
  });
  return strings;
}

function walk(schema, value, path, visit) {
  const { type, properties, items } = resolved(schema);
  const types = [type].flat();
  if (types.includes('string')) visit(path);
  for (const [name, property] of Object.entries(properties ?? {})) walk(property, value?.[name], [...path, name], visit);
  if (types.includes('array') && items) walk(items, value?.[0], [...path, 0], visit);
}

function replaced(value, [key, ...rest], words) {
  if (key === undefined) return words;
  const copy = typeof key === 'number' ? [...(value ?? [])] : { ...(value ?? {}) };
  copy[key] = replaced(copy[key], rest, words);
  return copy;
}

/** A body with what is required, from examples where there are some. */
function example(schema) {
  const found = resolved(schema);
  const given = found.example ?? found.examples?.[0] ?? found.default ?? found.enum?.[0];
  if (given !== undefined) return given;
  switch ([found.type].flat()[0]) {
    case 'object': {
      const required = Object.entries(found.properties ?? {}).filter(([name]) => found.required?.includes(name));
      return Object.fromEntries(required.map(([name, property]) => [name, example(property)]));
    }
    case 'array':
      return [];
    case 'integer':
    case 'number':
      return found.minimum ?? 1;
    case 'boolean':
      return false;
    default:
      return 'words';
  }
}

/** A schema without the references and alternatives around it. */
function resolved(schema) {
  if (schema.$ref) return resolved(schema.$ref.split('/').slice(1).reduce((part, key) => part[key], description));
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives) return resolved(alternatives.find((one) => one.type !== 'null') ?? {});
  if (schema.allOf) {
    const parts = schema.allOf.map(resolved);
    const required = parts.flatMap((part) => part.required ?? []);
    return { type: 'object', properties: Object.assign({}, ...parts.map((part) => part.properties)), required };
  }
  return schema;
}

/** The path of an operation, with the first thing of its list in the place of each parameter. */
async function filled(token, path) {
  let result = path;
  for (const [whole, parameter] of [...path.matchAll(/\{(\w+)\}/g)]) {
    const list = result.slice(0, result.indexOf(`/${whole}`));
    const page = await request(token, 'GET', list);
    const first = page.body?.data?.[0];
    result = result.replace(whole, encodeURIComponent(first?.id ?? first?.[parameter] ?? stage.active));
  }
  return result;
}

async function request(token, method, path, body) {
  const headers = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const answer = await fetch(stage.url + path, { method: method.toUpperCase(), headers, body: JSON.stringify(body) });
  const text = await answer.text();
  try {
    return { status: answer.status, body: JSON.parse(text) };
  } catch {
    return { status: answer.status, body: undefined };
  }
}
