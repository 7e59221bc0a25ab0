"""A mail server that keeps what it gets: PLAIN takes anybody, STARTTLS and TLS want encryption and a login.

Arguments: the directory of the mail, the certificate, its key, the user, the password, and three host:port."""

import asyncio
import signal
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mail, certificate, key, user, password, plain, starttls, tls = sys.argv[1:]


class Keep(Mailbox):
    """Refuses for good whom nobody knows, and for now whom it is to make wait, or is too busy for."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user here"
        if address.startswith("later@"):
            return "451 4.7.1 come again"
        if address.startswith("busy@"):
            return "421 4.3.2 too busy for it"
        envelope.rcpt_tos.append(address)
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=known, handled=known)


async def serve():
    handler = Keep(mail)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    common = {"enable_SMTPUTF8": True, "hostname": "mail.certmill.test"}
    guarded = {**common, "authenticator": login, "auth_required": True}
    servers = [
        (plain, None, lambda: SMTP(handler, **common)),
        (starttls, None, lambda: SMTP(handler, tls_context=context, require_starttls=True, **guarded)),
        # aiosmtpd asks for STARTTLS before a login unless it is told that there is encryption.
        (tls, context, lambda: SMTP(handler, auth_require_tls=False, **guarded)),
    ]
    for where, encryption, make in servers:
        host, port = where.rsplit(":", 1)
        await asyncio.get_running_loop().create_server(make, host, int(port), ssl=encryption)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


asyncio.run(serve())
