"""Flag sets in files: flagd's JSON, or the same as YAML; an error names file, line and key."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from migctl.config.problems import Faulty, Problem
from migctl.config.yamlfile import Document
from migctl.errors import Usage
from migctl.flags import changes
from migctl.flags.definitions import FlagSet, Invalid, read
from migctl.flags.editing import Edit, only, with_flags
from migctl.flags.segments import read_segments, with_segments
from migctl.flags.shares import SEGMENT

# A rule for the place of one that is wrong.
_NOBODY = {"in": ["", []]}


def read_file(path: Path, *, before: FlagSet | None = None) -> FlagSet:
    """The flag set of a file. before: what it would replace, and must not reorder. Raises Usage with file, line and key."""
    # JSON is YAML, so one reader knows the lines of both.
    document = Document.read(path)
    return checked(document.data, document, before=before)


def checked(data: object, document: Document | None = None, *, before: FlagSet | None = None) -> FlagSet:
    """The flag set of a document. Raises Usage, which names file and line where `document` knows them."""
    if document is not None:
        _no_problems(document)
    try:
        found = read(data)
        if before is not None:
            changes.check(before, found)
    except Invalid as error:
        raise _placed(error, document) from None
    return found


def read_edit(path: Path, before: FlagSet, *, replace: bool = False) -> Edit:
    """What an import of this file does: its flags are defined, or its segments (a file with the key `segments`).

    before: the flag set that it is imported into. replace: flags that the file does not have are left out. Raises Usage with file,
    line and key.
    """
    document = Document.read(path)
    if "segments" not in document.data:
        found = checked(document.data, document, before=before)
        return lambda flag_set: with_flags(flag_set, found, replace=replace)
    try:
        _no_problems(document)
        rules = read_segments(document.data)
        read(with_segments(FlagSet(), rules).document())
    except Invalid as error:
        raise _placed(_in_file(error), document) from None
    return lambda flag_set: with_segments(flag_set, rules)


def problems_of(document: Document) -> list[Problem]:
    """All that is wrong with a file of flags or of segments, as far as one mistake does not hide another."""
    if document.is_empty:
        do = "write `flags:` or `segments:`; see configs/flags/"
        return [Problem(document.name, None, "", "is empty", do)]
    found: list[Problem] = list(document.problems)
    data = copy.deepcopy(document.data)
    check = _check_segments if "segments" in data else read
    # What is wrong is noted, and taken away, so that the next comes to light: each time there is less.
    while True:
        try:
            check(data)
        except Invalid as error:
            error = _in_file(error)
            found.append(_problem(error, document))
            if not _without(data, error.path):
                return found
        else:
            return found


def _check_segments(data: object) -> object:
    return read(with_segments(FlagSet(), read_segments(data)).document())


def _in_file(error: Invalid) -> Invalid:
    """A rule of a segment stands among the evaluators of the flag set, and in a file of segments elsewhere."""
    at = error.path
    if at[:1] == ("$evaluators",) and len(at) > 1 and str(at[1]).startswith(SEGMENT):
        return Invalid(("segments", str(at[1]).removeprefix(SEGMENT), "rule", *at[2:]), error.what, error.do)
    return error


def _without(data: dict[str, Any], path: tuple[str | int, ...]) -> bool:
    """Take what is wrong out of the document: a field of a flag or a segment, else all of it. False: nothing is left to take."""
    depth = 3 if path[:1] in (("flags",), ("segments",)) and path[2:3] not in ((), ("variants",)) else 2
    at = path[:depth] if path[:1] in (("flags",), ("segments",), ("$evaluators",)) else path[:1]
    inner: Any = data
    for part in at[:-1]:
        inner = inner.get(part) if isinstance(inner, dict) else None
    if not at or not isinstance(inner, dict):
        return False
    if len(at) == 3 and at[-1] == "state":  # the one field that has to be there
        inner["state"] = "ENABLED"
        return True
    if at[-1] not in inner or inner[at[-1]] == _NOBODY:
        return False
    if at[0] == "$evaluators":  # flags may refer to it
        inner[at[-1]] = _NOBODY
        return True
    del inner[at[-1]]
    if at[0] == "segments" and len(at) == 3 and not inner:
        inner["users"] = []
    return True


def one_of(flag_set: FlagSet, key: str, path: Path) -> FlagSet:
    """One flag of a file. Raises Usage where it is not there."""
    try:
        return only(flag_set, key)
    except Invalid as error:
        raise Usage(f"{path}: {key}: {error.what}", do=error.do) from None


def _no_problems(document: Document) -> None:
    if document.problems:
        raise Faulty(document.problems)


def _placed(error: Invalid, document: Document | None) -> Usage:
    if document is not None:
        return Faulty([_problem(error, document)])
    key = ".".join(map(str, error.path))
    return Usage(f"{key}{': ' if key else ''}{error.what}", do=error.do)


def _problem(error: Invalid, document: Document) -> Problem:
    return Problem(
        document.name, document.line(error.path), ".".join(map(str, error.path)), error.what, error.do
    )
