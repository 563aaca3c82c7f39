"""Flag sets in files: flagd's JSON, or the same as YAML; an error names file, line and key."""

from __future__ import annotations

from pathlib import Path

from migctl.config.yamlfile import Document
from migctl.errors import Usage
from migctl.flags import changes
from migctl.flags.definitions import FlagSet, Invalid, read
from migctl.flags.editing import Edit, only, with_flags
from migctl.flags.segments import read_segments, with_segments
from migctl.flags.shares import SEGMENT


def read_file(path: Path, *, before: FlagSet | None = None) -> FlagSet:
    """The flag set of a file. before: what it would replace, and must not reorder. Raises Usage with file, line and key."""
    # JSON is YAML, so one reader knows the lines of both.
    document = Document.read(path)
    return checked(document.data, document, before=before)


def checked(data: object, document: Document | None = None, *, before: FlagSet | None = None) -> FlagSet:
    """The flag set of a document. Raises Usage, which names file and line where `document` knows them."""
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
        rules = read_segments(document.data)
        read(with_segments(FlagSet(), rules).document())
    except Invalid as error:
        if error.path[:1] == ("$evaluators",):  # where it stands in the flag set; in the file it stands so
            where = ("segments", str(error.path[1]).removeprefix(SEGMENT), "rule", *error.path[2:])
            error = Invalid(where, error.what, error.do)
        raise _placed(error, document) from None
    return lambda flag_set: with_segments(flag_set, rules)


def one_of(flag_set: FlagSet, key: str, path: Path) -> FlagSet:
    """One flag of a file. Raises Usage where it is not there."""
    try:
        return only(flag_set, key)
    except Invalid as error:
        raise Usage(f"{path}: {key}: {error.what}", do=error.do) from None


def _placed(error: Invalid, document: Document | None) -> Usage:
    where = f"{document.name}:{document.line(error.path)}: " if document is not None else ""
    key = ".".join(map(str, error.path))
    return Usage(f"{where}{key}{': ' if key else ''}{error.what}", do=error.do)
