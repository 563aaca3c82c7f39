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

_SHAPES = (
    re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*"),
    re.compile(r"\b(?:sb_secret|migctl_(?:ingest|subscribe|evaluate|admin))_[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?<=://)[^\s/@?#\"']*:[^\s/@\"']*(?=@)"),
    re.compile(
        r"(?<=[?&])((?:apikey|api_key|key|token|access_token|password|secret)=)[^&\s\"'#]+", re.IGNORECASE
    ),
)


_USERINFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<user>[^:@/]*):(?P<password>.*)@", re.DOTALL)


class Redactor:
    """The secrets of one process."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None

    def know(self, secret: str | None, *, but: Sequence[str | None] = ()) -> None:
        """Hide this text from now on, in every spelling that a library may give it. None and empty are no secrets.

        but: what is no secret although it may read the same, such as a user whose password is the user's name.
        """
        if not secret or secret in but or secret in self._forms:
            return
        self._forms |= {form for form in _spellings(secret) if form.strip()}
        # The longest first: of an address and the password in it, the address is hidden.
        self._known = re.compile("|".join(map(_pattern, sorted(self._forms, key=len, reverse=True))))

    def know_address(self, address: str | None) -> None:
        """Hide the password of `scheme://USER:PASSWORD@HOST...`, and the address as a whole, from now on.

        A password that is the name of its user or of the database hides nothing, and would hide words.
        """
        found = _USERINFO.match(address or "")
        if address and found is not None:
            self.know(address)
            user, rest = unquote(found["user"]), unquote(address[found.end() :])
            self.know(found["password"], but=(user, rest.rpartition("/")[2].partition("?")[0]))

    def forget_all(self) -> None:
        """As before the first secret: for a process that plays many, one after the other."""
        self._forms.clear()
        self._known = None

    def redact(self, text: str) -> str:
        """The text with `***` where a secret was."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for shape in _SHAPES:
            text = shape.sub(_keeping_key, text)
        return text

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
redact = OURS.redact
redacted = OURS.redacted
