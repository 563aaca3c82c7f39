"""Redaction: the secrets that this process knows, and texts without them.

A secret is made known where it is read (`know`), and every text that leaves goes through `redact`: errors when they are made, log
lines, answers, control frames, what the command line says. Libraries quote what they refuse, so nobody can promise that a foreign
error holds no key; this promises that it does not get out.

What has the shape of a secret is hidden although nobody made it known: JWTs, keys and tokens by their prefix, passwords inside
addresses, keys inside queries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"

# Below this many characters a secret is hidden only where an address has its password: it may be a word that says something else.
SHORT = 6
# From this many on it is hidden inside other words too.
LONG = 16

# Of a token that is known by its shape alone.
_LONG_TOKEN = 4096
# So much more than is wanted is redacted, for secrets to shrink in.
_AHEAD = 1 << 16

# What a query calls that which lets one in.
_NAMED = r"[\w.-]*(?:key|token|secret|passw(?:or)?d|pwd|auth|sig|signature|session|jwt|credentials?)"
_JWT = "eyJ"
# Texts may be long, and made to hurt: whatever they are, each shape looks at each character a few times at most.
_SHAPES = (
    re.compile(r"\b(?:sb_secret|migctl_(?:ingest|subscribe|evaluate|admin))_[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?<=://)[^\s/@?#\"':]*+:[^\s/@\"']*+(?=@)"),
    re.compile(r"(?<=://)[^\s/@?#\"':]{16,}+(?=@)"),
    re.compile(rf"(?<=[?&#;])({_NAMED}=)[^&\s\"'#;]+", re.IGNORECASE),
    # The header as libraries quote it, whatever scheme it has or lacks; what we tell people to send is no secret.
    re.compile(
        r"((?:proxy-)?authorization[\"']?\s*[:=](?!\s*Bearer (?:TOKEN|realm)))\s*(?:b?[\"'])?[^\"'`,}\])\r\n]+",
        re.IGNORECASE,
    ),
)

# Within a word too, whose beginning stays. It is first seen that the parts are there: then the first `eyJ` is the one.
_JWT_SHAPE = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*+\.[A-Za-z0-9_-]{2,}+\.)([A-Za-z0-9_-]*?)"
    rf"{_JWT}[A-Za-z0-9_-]{{8,}}+\.[A-Za-z0-9_-]*+\.[A-Za-z0-9_-]*+"
)
_QUERY = re.compile(rf"[?&#;]{_NAMED}=([^&#;]+)", re.IGNORECASE)
# Here a user alone may be the secret; that of a database is a name.
_LONELY = re.compile(r"(?:https?|wss?|socks\w*)://(?P<user>[^:@/?#]+)@", re.IGNORECASE)
_USERINFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<user>[^:@/]*):(?P<password>.*)@", re.DOTALL)


class Redactor:
    """The secrets of one process."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._longest = _LONG_TOKEN
        self._known: re.Pattern[str] | None = None

    def know(self, secret: str | None, *, but: Sequence[str | None] = ()) -> None:
        """Hide this text from now on, in every spelling that a library may give it. None and empty are no secrets.

        but: what is no secret although it may read the same, such as a user whose password is the user's name.
        """
        if not secret or secret in but or secret in self._forms:
            return
        self._forms |= {form for form in _spellings(secret) if form.strip()}
        self._longest = max(self._longest, *map(len, self._forms))
        # The longest first: of an address and the password in it, the address is hidden.
        self._known = re.compile("|".join(map(_pattern, sorted(self._forms, key=len, reverse=True))))

    def know_address(self, address: str | None) -> None:
        """Hide the password of `scheme://USER:PASSWORD@HOST...`, and the address as a whole, from now on; a user without a password
        on the web; and what a query calls a key, a token, or the like.

        A password that is the name of its user or of the database hides nothing, and would hide words.
        """
        if address is None:
            return
        for named in _QUERY.finditer(address):
            self.know(named[1])
        if (lonely := _LONELY.match(address)) is not None:
            self.know(lonely["user"])
        found = _USERINFO.match(address)
        if found is not None:
            self.know(address)
            user, rest = unquote(found["user"]), unquote(address[found.end() :])
            self.know(found["password"], but=(user, rest.rpartition("/")[2].partition("?")[0]))

    def know_addresses(self, value: object) -> None:
        """The same for every address in a JSON value, such as settings before it is known whether they can be used."""
        if isinstance(value, str) and "://" in value:
            self.know_address(value)
        elif isinstance(value, Mapping):
            for inner in value.values():
                self.know_addresses(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                self.know_addresses(inner)

    def forget_all(self) -> None:
        """As before the first secret: for a process that plays many, one after the other."""
        self._forms.clear()
        self._longest = _LONG_TOKEN
        self._known = None

    def redact(self, text: str) -> str:
        """The text with `***` where a secret was."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        if _JWT in text:
            text = _JWT_SHAPE.sub(_keeping_key, text)
        for shape in _SHAPES:
            text = shape.sub(_keeping_key, text)
        return text

    def beginning(self, text: str, most: int) -> str:
        """At most so many characters of the redacted text. Redacted before it is cut: half a secret has no shape to be known by."""
        window = text[: most + _AHEAD]
        found = self.redact(window)
        if len(window) < len(text):  # its end may be half a secret too
            found = found[: max(0, len(found) - self._longest)]
        return found[:most]

    def redacted(self, value: object) -> object:
        """A JSON value with every text in it redacted; what is no JSON becomes its redacted repr."""
        if isinstance(value, str):
            return self.redact(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {key: self.redacted(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.redacted(inner) for inner in value]
        return self.redact(repr(value))


def _spellings(secret: str) -> set[str]:
    plain = {secret, unquote(secret)}
    found = set(plain)
    for one in plain:
        octets = one.encode("utf-8", "surrogateescape")
        found |= {quote(octets, safe=""), quote(octets), quote_plus(octets)}
        # As errors quote it: the repr of a text and of bytes, and JSON.
        found |= {repr(one)[1:-1], repr(octets)[2:-1], json.dumps(one)[1:-1]}
        found.add(json.dumps(one, ensure_ascii=False)[1:-1])
    return found


def _pattern(form: str) -> str:
    text = re.escape(form)
    if len(form) >= LONG:
        return text
    if len(form) >= SHORT:
        return rf"(?<![\w-]){text}(?![\w-])"
    return rf"(?<=:){text}(?=@)"


def _keeping_key(found: re.Match[str]) -> str:
    return (found[1] if found.re.groups else "") + HIDDEN


# Of this process.
OURS = Redactor()
know = OURS.know
know_address = OURS.know_address
know_addresses = OURS.know_addresses
redact = OURS.redact
beginning = OURS.beginning
redacted = OURS.redacted
