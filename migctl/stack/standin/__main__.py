"""`python -m migctl.stack.standin --listen HOST:PORT`: the stand-in as a process of its own.

What is secret comes from the environment: a command line is read by every user of the machine.

| variable | what |
|---|---|
| MIGCTL_STANDIN_DATABASE_URL | the database's address, with its password |
| MIGCTL_STANDIN_JWT_SECRET | the shared secret, where the project has one |
| MIGCTL_STANDIN_API_KEYS | a JSON object: the role of each key `sb_publishable_...` and `sb_secret_...` |
| MIGCTL_STANDIN_SIGNING_KEYS | a JSON array of JWKs; the first that is private signs user tokens, all verify |

A project has a shared secret or API keys, or both. Ready when GET /health answers 200; SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from aiohttp import web

from migctl import redaction
from migctl.errors import MigctlError, Refused, Transient, Usage
from migctl.stack.standin.app import WORK, build
from migctl.stack.standin.keyring import Keyring, parse
from migctl.stack.standin.limits import PLANS, Limits
from migctl.telemetry import configure

_SECRET = "MIGCTL_STANDIN_JWT_SECRET"
_API_KEYS = "MIGCTL_STANDIN_API_KEYS"
_SIGNING_KEYS = "MIGCTL_STANDIN_SIGNING_KEYS"
_DATABASE = "MIGCTL_STANDIN_DATABASE_URL"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until a signal. Returns the exit code."""
    options = _parser().parse_args(argv)
    configure(level=options.log_level)
    try:
        host, port = _address(options.listen)
        keyring = _keyring(os.environ)
        dsn = _from_environment(
            _DATABASE, "the database's address, postgresql://USER:PASSWORD@HOST:PORT/NAME"
        )
        redaction.know_address(dsn)
        limits = Limits(
            plan=PLANS[options.rates],
            schemas=tuple(options.schemas.split(",")),
            max_rows=options.max_rows,
            join_error_s=options.join_error_seconds,
            connect_error_s=options.connect_error_seconds,
            publication_check_s=options.publication_check_seconds,
            token_s=options.token_seconds,
            refresh_reuse_s=options.refresh_reuse_seconds,
        )
        _run(_serve(host, port, dsn, keyring, limits))
    except MigctlError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m migctl.stack.standin", description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--rates", choices=sorted(PLANS), default="no-cap", help="whose rate limits to keep")
    parser.add_argument("--schemas", default="public,graphql_public", help="schemas that REST exposes")
    parser.add_argument("--max-rows", type=int, default=1000, help="the most rows that one read answers")
    parser.add_argument("--join-error-seconds", type=float, default=5.0, help="wait before a join is refused")
    parser.add_argument(
        "--connect-error-seconds", type=float, default=2.0, help="wait before an upgrade is refused"
    )
    parser.add_argument(
        "--publication-check-seconds", type=float, default=60.0, help="how often the publication is read"
    )
    parser.add_argument("--token-seconds", type=int, default=3600, help="how long a user token is good")
    parser.add_argument(
        "--refresh-reuse-seconds",
        type=float,
        default=10.0,
        help="how long a used refresh token may come again",
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="warning")
    return parser


def _from_environment(name: str, what: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Usage(f"{name} is not set", do=f"export {name} with {what}")
    return value


def _keyring(environ: Mapping[str, str]) -> Keyring:
    secret, api_keys, signing_keys = (environ.get(name) for name in (_SECRET, _API_KEYS, _SIGNING_KEYS))
    if not secret and not api_keys:
        raise Usage(
            f"neither {_SECRET} nor {_API_KEYS} is set",
            do=f"export {_SECRET} with the secret that signs the keys",
        )
    redaction.know(secret)
    try:
        keyring = parse(secret, api_keys, signing_keys)
    except ValueError as error:
        words = type(error).__name__ if isinstance(error, json.JSONDecodeError) else str(error)
        raise Usage(
            f"{_API_KEYS}, {_SIGNING_KEYS}: {words}",
            do='write {"sb_publishable_...": "anon"} and [{"kty": "EC", "kid": ...}]',
        ) from None
    for key in keyring.api_keys:
        redaction.know(key)
    return keyring


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise Usage(f"--listen: expected HOST:PORT, got {listen!r}", do="write 127.0.0.1:54321")
    if host not in _LOOPBACK:
        raise Refused(
            f"--listen {listen}: the stand-in is for development and speaks to this machine only",
            do="listen on 127.0.0.1",
        )
    return host, int(port)


async def _serve(host: str, port: int, dsn: str, keyring: Keyring, limits: Limits) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = build(dsn=dsn, keyring=keyring, limits=limits)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=1024).start()
        except OSError as error:
            raise Transient(
                f"{host}:{port} can't be listened on: {error.strerror}",
                do="choose another port, or stop who has it",
            ) from error
        stopping = asyncio.ensure_future(stop.wait())
        work = app[WORK]
        await asyncio.wait({stopping, work}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            stopping.cancel()
            work.result()
    finally:
        await runner.cleanup()


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # not made for this platform
        asyncio.run(main)
    else:
        uvloop.run(main)


if __name__ == "__main__":
    sys.exit(main())
