"""Every documented route of a real `serve` in mode dual, asked with what is made to hurt: refused, and never an error of ours."""

from __future__ import annotations

import itertools
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from migctl.config import Target
from migctl.server.access.tokens import PURPOSES, Token, mint_token
from tests.kit.serve_process import ServeProcess, serving_process
from tests.kit.targets import environment_of

# Of one that has every purpose.
TEXT, MASTER = mint_token("admin", "everything")
TOKENS = ",".join(Token(purpose, MASTER.name, MASTER.digest).entry for purpose in PURPOSES)
GOOD = {"event_type": "a", "data": {"n": 1}}

BODIES = {
    "depth": b"[" * 5000,
    "depth of objects": b'{"target":' * 3000,
    "depth below what nobody asks for": b'{"more":' + b"[" * 1500 + b"]" * 1500 + b"}",
    "no UTF-8": b'{"target":"\xff\xfe"}',
    "half a character": b'{"target":"\\ud800","reason":"\\ud800","by":"\\ud800","value":"\\ud800","name":"\\ud800"}',
    "digits": b'{"n":%b,"percent":%b,"limit":%b}' % (b"9" * 5000, b"9" * 5000, b"9" * 5000),
    "no number": b'{"percent":1e999,"n":NaN}',
    "a list": b"[1,2,3]",
    "nothing": b"",
    "null": b"null",
    "other types": b'{"target":[],"reason":{},"flag":7,"segment":true,"rows":{},"action":1,"hold":"x","value":[],"name":null}',
    "YAML": json.dumps({"name": "relay.heads_apart_s", "value": "2026-13-45", "by": "x"}).encode(),
    "YAML without end": json.dumps({"name": "relay.heads_apart_s", "value": "[" * 3000, "by": "x"}).encode(),
    "YAML of aliases": json.dumps({"name": "log_level", "value": "&a [*a]", "by": "x"}).encode(),
    "quotes": b'"' + b'\\"' * 200_000,
}  # fmt: skip
NAMES = ["%ff", "%00", "..%2f..%2fetc%2fpasswd", "x" * 3000, quote("\U0001f600"), "%ed%a0%80", "a%0d%0ab"]
QUERIES = [
    "after=%ff&epoch=%00&limit=" + "9" * 5000, "limit=1e999&after=-1&epoch=a", "id=%ed%a0%80", "user=" + "%ff" * 300,
    "epoch=a&after=" + "9" * 18, "a=b&a=c&&&=&%", "after=" + quote("١"), "limit=" + quote("²"),
]  # fmt: skip
HEADERS = [
    ("Idempotency-Key", b"\xff\xfe"), ("If-Match", b"\xff"), ("If-None-Match", b'"' * 2000), ("Accept", b"\xff;q=\xff"),
    ("Content-Type", b"\xff/\xff; charset=\xff"), ("Content-Encoding", b"\xff"), ("Last-Event-ID", b"\xff"), ("Origin", b"\xff"),
    ("Content-Type", b"application/json; charset=nonesuch"), ("X-Forwarded-For", b"\xff" * 100), ("Authorization", b"Bearer \xff"),
]  # fmt: skip


@pytest.fixture(scope="module")
def operations() -> list[tuple[str, str]]:
    document = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


@pytest.fixture
def serve(standin: Target, tmp_path: Path) -> Iterator[ServeProcess]:
    more = {**environment_of(standin), "MIGCTL_TOKENS": TOKENS}
    with serving_process(tmp_path / "serve", "--mode", "dual", more=more) as process:
        yield process


def _path(path: str, name: str = "x") -> str:
    return re.sub(r"\{\w+\}", lambda _: name, path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_request_is_an_error_of_ours(serve: ServeProcess, operations: list[tuple[str, str]]) -> None:
    asked = []
    with httpx.Client(
        base_url=serve.url, headers={"Authorization": f"Bearer {TEXT}"}, trust_env=False, timeout=60
    ) as http:

        def ask(what: str, method: str, path: str, **more: object) -> None:
            # Of a stream the beginning is enough.
            with http.stream(method, path, **more) as answer:  # type: ignore[arg-type]
                assert answer.status_code < 500 or answer.status_code == 503, (
                    what,
                    method,
                    path[:200],
                    answer.read(),
                )
            asked.append(what)

        for method, path in operations:
            for what, body in BODIES.items() if method in ("POST", "PUT", "DELETE") else ():
                for kind in ("application/json", "application/x-ndjson"):
                    tags = {"If-None-Match": "*", "Content-Type": kind}
                    ask(what, method, _path(path), content=body, headers=tags)
            for name in NAMES if "{" in path else ():
                ask(f"name {name[:20]}", method, _path(path, name), headers={"If-None-Match": "*"})
            for query in QUERIES:
                ask(f"query {query[:30]}", method, f"{_path(path)}?{query}", headers={"If-Match": '"x"'})
            for header, value in HEADERS:
                ask(
                    f"header {header}",
                    method,
                    _path(path),
                    headers={header.encode(): value},
                    content=json.dumps(GOOD),
                )
        assert len(asked) > 500
        assert http.post("/events", json=GOOD).status_code == 201
        assert http.get("/healthz").status_code == 200
    log = (serve.folder / "serve.log").read_text()
    assert "an error of ours" not in log
    assert "Traceback" not in log


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_head_of_a_request_is_an_error_of_ours(serve: ServeProcess) -> None:
    """Heads that no library would send."""
    where = urlsplit(serve.url)
    heads = [
        b"GET /events?epoch=\xff HTTP/1.1\r\nHost: a\r\n\r\n", b"GET http://x:99999/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET //[::1 HTTP/1.1\r\nHost: [::1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: \r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: \xff\r\n\r\n",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n",
    ]  # fmt: skip
    token = f"Authorization: Bearer {TEXT}\r\n".encode()
    for head, passed in itertools.product(heads, (b"", token)):
        first, mark, rest = head.partition(b"\r\n")
        with socket.create_connection((where.hostname, where.port), timeout=30) as line:
            line.sendall(first + mark + passed + rest)
            line.shutdown(socket.SHUT_WR)
            answer = line.recv(4096)
        assert not re.match(rb"HTTP/1\.[01] 5(?!0[13])", answer), (head[:80], answer[:200])
    with httpx.Client(
        base_url=serve.url, headers={"Authorization": f"Bearer {TEXT}"}, trust_env=False
    ) as http:
        assert http.post("/events", json=GOOD).status_code == 201
    log = (serve.folder / "serve.log").read_text()
    assert "an error of ours" not in log
    assert "Traceback" not in log
