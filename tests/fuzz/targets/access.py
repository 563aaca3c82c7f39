"""Who asks, and from where: headers, tokens, addresses; and text on its way to a log or a screen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import ip_network

from migctl import redaction
from migctl.config import Settings, database
from migctl.config.address import base_url, is_local, is_loopback, socket_host
from migctl.config.secrets import secret
from migctl.config.target import from_environment
from migctl.errors import Usage
from migctl.events.jsontext import dumps, loads
from migctl.faults.addresses import address
from migctl.faults.requests import Requests
from migctl.faults.upstream import upstream_of
from migctl.printable import shown, shown_json, shown_line
from migctl.server.access.forwarded import UNKNOWN, client_of, within
from migctl.server.access.rules import Asking, Denied, Rules
from migctl.server.access.tokens import Token, Tokens, digest_of, parse_tokens
from migctl.server.routes.ofrep import is_known
from migctl.subscriber.gateway.client import _checked as checked_socket
from migctl.transports.websocket.upstream import points_at
from tests.fuzz.target import Target
from tests.fuzz.targets.events import refused

TRUSTED = tuple(map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "::1/128", "fd00::/8")))


def forwarded(data: bytes) -> bool:
    """data: the peer, and lines of `X-Forwarded-For`."""
    peer, *lines = data.decode("utf-8", "surrogateescape").split("\n")
    found = client_of(peer, lines, TRUSTED)
    assert (
        found in (peer, UNKNOWN)
        or within(found, TRUSTED)
        or not set(found) - set("0123456789abcdef:.%")
        or "%" in found
    )
    if not within(peer, TRUSTED):
        assert found == peer
    return found != UNKNOWN


TOKEN = Token("subscribe", "ann", digest_of("good"))
RULES_OF = (
    Rules(),
    Rules(Tokens((TOKEN,)), origins=("http://localhost:3000",)),
    Rules(Tokens((TOKEN,)), legacy_open=True, legacy_networks=TRUSTED),
)


def a_request(data: bytes) -> bool:
    """data: method, path, Host, Origin, peer, token, on a line each. Whoever has no token gets to nothing that asks for one."""
    parts: list[str | None] = [one or None for one in data.decode("utf-8", "surrogateescape").split("\n")]
    method, path, host, origin, peer, presented = (parts + [None] * 6)[:6]
    granted = False
    for rules in RULES_OF:
        for legacy in (False, True):
            asking = Asking(
                method or "GET", path or "/", host, origin, peer or "", presented, legacy and path == "/ws"
            )
            decision = rules.decide(asking)
            if isinstance(decision, Denied):
                assert decision.status in (401, 403)
                continue
            granted = True
            if not rules.tokens and not asking.legacy:
                name = re.sub(r"[\t\r\n]", "", host or "").rpartition("@")[2]
                assert "127." in name or "localhost" in name.lower() or "::1" in name or "0:1" in name, name
            if rules.tokens and path in ("/events", "/api/flags", "/admin/settings", "/metrics"):
                assert presented == "good"
    return granted


def a_token_list(data: bytes) -> bool:
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = parse_tokens(text)
    except Usage as error:
        refused(error.what)
        assert "cafe" not in error.what
        return False
    return bool(found.match("good")) or bool(found)


def _quietly(run: Callable[[str], object]) -> Callable[[bytes], bool]:
    """run: reads an address. Raises Usage or ValueError that does not say the password."""

    def read(data: bytes) -> bool:
        text = data.decode("utf-8", "surrogateescape")
        try:
            run(text)
        except (Usage, ValueError) as error:
            said = shown(str(error))
            said.encode()
            # Where the marks around it are gone nobody can know it for a password.
            assert "://u:s3cretpw@" not in text or text.count("s3cretpw") > 1 or "s3cretpw" not in said
            return False
        finally:
            redaction.OURS.forget_all()
        return True

    return read


def _project(text: str) -> None:
    url = secret("SUPABASE_ANON_KEY", {"SUPABASE_ANON_KEY": text}) if len(text) % 7 == 0 else text
    found = from_environment(
        Settings.model_validate({"supabase": {"url": url}}),
        {"DATABASE_URL": text} if "postgres" in text else {},
    )
    if found is not None and "s3cretpw" not in found.supabase_url:
        assert "s3cretpw" not in repr(found)
        assert "s3cretpw" not in found.database_name


def _database(text: str) -> None:
    found = database.parameters(text)
    if text.count("s3cretpw") == 1 and found.get("password") == "s3cretpw":
        assert "s3cretpw" not in database.name_of(text)


def _addresses(text: str) -> None:
    socket_host(text)
    is_loopback(text)
    errors: list[Exception] = []
    for read in (base_url, checked_socket, address, upstream_of):
        try:
            found = read(text)
        except (Usage, ValueError) as error:
            errors.append(error)
            continue
        if isinstance(found, str):
            is_local(found)
            points_at(found, "127.0.0.1", 8080)
    if len(errors) == 4:
        raise errors[0]


def a_text(data: bytes) -> bool:
    """What is logged or shown keeps no order to a terminal, and no secret, and takes no longer than it is long."""
    text = data.decode("utf-8", "surrogateescape")
    hidden = redaction.redact(text)
    assert redaction.redact(hidden) == hidden
    for made in (shown(hidden), shown_line(hidden)):
        made.encode()
        assert not any(char in made for char in "\x1b\r\x9b\u202e\u2066")
    assert shown(shown(text)) == shown(text)
    quoted = dumps(text)
    assert loads(shown_json(quoted.decode())) == text
    return True


def a_known_secret(data: bytes) -> bool:
    """data: a secret on the first line, and a text. However the text spells it, it is not there any more."""
    first, _, rest = data.decode("utf-8", "replace").partition("\n")
    redactor = redaction.Redactor()
    try:
        redactor.know(first)
        redactor.know_address(f"postgres://u:{first}@h/d")
        for text in (f"{rest} {first} {rest}", repr(f" {first} "), json.dumps({"a": f" {first} "})):
            found = redactor.redact(text)
            if len(first) >= redaction.LONG and redaction.HIDDEN not in first and first.strip():
                assert first not in found
    finally:
        redactor.forget_all()
    return True


def proxied(data: bytes) -> bool:
    """Through a proxy that gives requests another Host nothing is lost, however it is cut."""
    whole, cut = Requests("x.example"), Requests("x.example")
    step = 1 + data[0] % 29 if data else 1
    one = whole.feed(data) + whole.end()
    other = b"".join(cut.feed(data[at : at + step]) for at in range(0, len(data), step)) + cut.end()
    assert one == other
    return True


def tags(data: bytes) -> bool:
    return is_known('"abc"', data.decode("utf-8", "surrogateescape").split("\n"))


PADDING = tuple(
    one * 20_000
    for one in (
        b":",
        b"eyJ",
        b"://",
        b"?key",
        b"?",
        b"authorization",
        b" ",
        b".",
        b"-",
        b"//a:",
        b"@",
        b"key=",
        b"eyJa.",
    )
)
TARGETS = (
    Target(
        "forwarded",
        forwarded,
        (b"127.0.0.1\n1.2.3.4, 10.0.0.1", b"::1\n[2001:db8::1]:443", b"9.9.9.9\nx"),
        words=(b",", b"::ffff:1.2.3.4", b"%eth0", b"1.2.3.4:80", b"\n"),
        most_bytes=8192,
    ),
    Target(
        "request",
        a_request,
        (
            b"GET\n/events\n127.0.0.1:8080\n\n127.0.0.1\ngood",
            b"POST\n/events\nlocalhost\nhttp://localhost\n::1\n",
            b"GET\n/\n[::1]:1\nnull\n1.2.3.4\n",
            b"GET\n/ws\nlocalhost:99\nhttp://localhost:99\n127.0.0.1\nx",
        ),
        words=(
            b"/ws",
            b"/admin/settings",
            b"/api/flags",
            b"/metrics",
            b"@",
            b"localhost",
            b"evil.example",
            b"#",
            b"?",
            b":99999",
            b"[",
            b"%",
        ),
        most_bytes=4096,
    ),
    Target(
        "token list",
        a_token_list,
        (TOKEN.entry.encode(), TOKEN.entry.encode() + b" # x\n,ingest:b:" + b"cafe" * 16),
        words=(b":", b",", b"admin", b"#", b"\xe2\x80\xa8"),
        most_bytes=8192,
    ),
    Target(
        "DATABASE_URL",
        _quietly(_database),
        (
            b"postgresql://u:s3cretpw@h:5432/d?sslmode=require",
            b"host=h user=u password=s3cretpw dbname=d",
            b"postgres://u:s3cretpw@[::1]/d",
        ),
        words=(b"@", b":", b"/", b"%", b"%zz", b"?", b"password=", b"'", b"\\", b"service=x", b"#"),
        most_bytes=4096,
    ),
    Target(
        "SUPABASE_URL",
        _quietly(_project),
        (b"https://x.supabase.co", b"http://[::1]:54321/x"),
        words=(b"u:s3cretpw@", b"@", b":", b"/", b"[", b"postgres://u:s3cretpw@h/d"),
        most_bytes=4096,
    ),
    Target(
        "addresses",
        _quietly(_addresses),
        (
            b"ws://u:s3cretpw@h:80/ws",
            b"http://127.0.0.1:8080",
            b"127.0.0.1:80",
            b"wss://h/ws?token=s3cretpw",
            b"[::1]:5",
        ),
        words=(b"@", b":", b"/", b"[", b"]", b"99999999", b"%", b"\xd9\xa1", b"\xe2\x84\x80", b"?", b"#"),
        most_bytes=4096,
    ),
    Target(
        "text",
        a_text,
        (
            b"plain",
            b"Authorization: Bearer abc.def",
            b"postgres://u:pw@h/d?password=x&key=y",
            b"eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.abc",
            "\x1b]0;x\x07 \u202e \U000e0041".encode(),
        ),
        words=(*PADDING, b"://", b"@", b"eyJ", b"sb_secret_", b"key=", b"authorization", b": ", b"Bearer "),
    ),
    Target(
        "known secret",
        a_known_secret,
        (b"s3cret-which-is-long\nsome text", b'a b%20c"d\\e and more\nx', b"p\nx"),
        words=(b"%", b"\\", b'"', b"'", b"\n", b"+", b" "),
        most_bytes=4096,
    ),
    Target(
        "proxied requests",
        proxied,
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /x HTTP/1.1\r\nhost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x00",
        ),
        words=(
            b"\r\n",
            b"\r\n\r\n",
            b"Content-Length: ",
            b"chunked",
            b"ffffffffffff",
            b"9" * 5000,
            b"Host: ",
        ),
        most_bytes=8192,
    ),
    Target("entity tags", tags, (b'"abc"', b'W/"abc", "d"', b"abc"), words=(b",", b'"', b"W/", b"*")),
)
