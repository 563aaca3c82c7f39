"""Secrets: read in one place, from the environment or from the file that `NAME_FILE` names, and made known to the redactor there.

What copying adds at the ends (the line end of a CRLF file, a blank, a byte order mark) is cut off, and said. What can't be used
then ends the command here: further on, a library would refuse it and quote it. Nothing that is said quotes a secret, or a part
of one.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from migctl import redaction
from migctl.config.files import refuse_foreign
from migctl.config.warned import warn
from migctl.errors import Usage

# Written into no header: texts of their own kind, a document or a list over several lines.
_TEXTS: Final = frozenset(
    ("SUPABASE_JWT_SECRET", "DATABASE_URL", "REDIS_URL", "SUPABASE_USER_EMAIL", "SUPABASE_USER_PASSWORD")
)
_DOCUMENTS: Final = frozenset(("SUPABASE_SIGNING_KEY",))
_LISTS: Final = frozenset(("MIGCTL_TOKENS",))

_AROUND: Final = string.whitespace + "\x85\xa0\u200b\u2028\u2029\ufeff"
_HEADER = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_JSON = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def secret(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The secret `name` from the environment, or from the file that `NAME_FILE` names. None where neither is set.

    Raises Usage, naming the variable and never the value, where the file can't be read or what is in it can't be used, and
    Refused where others could have written the file.
    """
    env = os.environ if environ is None else environ
    given, where = env.get(name), name
    if not given:
        path = env.get(f"{name}_FILE")
        if not path:
            return None
        given, where = _content(name, path), f"{name}_FILE"
    _make_known(name, given)
    found = trimmed(where, given)
    if not found:
        raise Usage(f"{where} is blank", do=f"set {name}, or unset {where}")
    _check(name, where, found)
    return found


def trimmed(where: str, given: str) -> str:
    """The text without what surrounds it by accident, which is said. where: the variable that has it."""
    found = given.strip(_AROUND)
    if found and found != given:
        warn(f"{where}: white space or a line end around the value was cut off; set it without")
    return found


def _content(name: str, path: str) -> str:
    # The path is not quoted: it may be the secret itself, in the wrong variable.
    do = f"name a readable file of text, or set {name}"
    try:
        with Path(path).open("rb") as file:
            refuse_foreign(
                Path(path),
                file.fileno(),
                named=f"the file of {name}_FILE",
                what="take their keys and tokens for ours",
            )
            text = file.read().decode()
    except UnicodeDecodeError as error:
        raise Usage(f"{name}_FILE names a file that is not UTF-8 at byte {error.start}", do=do) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise Usage(f"{name}_FILE names no file that can be read: {reason}", do=do) from None
    return text.removesuffix("\n")  # every editor ends a file so


def _make_known(name: str, text: str) -> None:
    if name not in _LISTS:
        redaction.know(text.strip(_AROUND))
        redaction.know_address(text.strip(_AROUND))
        return
    # A list holds hashes; but what stands where a hash is meant may be the token itself.
    for part in re.split(r"[\s,:]+", text):
        if len(part) >= redaction.LONG:
            redaction.know(part)


def _check(name: str, where: str, text: str) -> None:
    if name in _LISTS:
        wrong = _SURROGATE.search(text)
    elif name in _DOCUMENTS:
        wrong = _NOT_IN_JSON.search(text)
    elif name in _TEXTS:
        wrong = _CONTROL.search(text)
    else:
        good = _HEADER.match(text)
        end = good.end() if good is not None else 0
        wrong = re.compile(r"[\s\S]").search(text, end)
    if wrong is not None:
        kind = "is not UTF-8" if _SURROGATE.match(wrong[0]) else "can't stand there"
        raise Usage(
            f"{where}: character {wrong.start() + 1} of {len(text)} {kind}",
            do="copy it again, on one line and without quotes, from where it was made",
        )
