"""Flag sets in files: flagd's JSON, or the same as YAML; an error names file, line and key."""

from __future__ import annotations

from pathlib import Path

from migctl.config.yamlfile import Document
from migctl.errors import Usage
from migctl.flags import changes
from migctl.flags.definitions import FlagSet, Invalid, read


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
        where = f"{document.name}:{document.line(error.path)}: " if document is not None else ""
        key = ".".join(map(str, error.path))
        raise Usage(f"{where}{key}{': ' if key else ''}{error.what}", do=error.do) from None
    return found
