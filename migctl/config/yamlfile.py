"""YAML with line numbers, so that an error can name file, line and key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from migctl.config.warned import warn
from migctl.errors import Usage

Path_ = tuple[str | int, ...]

# Path of a key by its old name, to its name now.
Spellings = Mapping[tuple[str, ...], str]


class Document:
    """A YAML mapping and the line on which each of its keys stands."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines: dict[Path_, int] = {}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data: dict[str, Any] = yaml.safe_load(text) or {}
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise Usage(
                f"{name}:{line}: not YAML: {error.problem or error.context}",
                do="mend the line; indentation and colons are the usual cause",
            ) from None
        except yaml.YAMLError as error:
            raise Usage(f"{name}: not YAML: {error}", do="mend the file") from None
        if not isinstance(self.data, dict):
            raise Usage(
                f"{name}:1: expected keys and values", do="write `key: value` lines; see configs/migctl.yaml"
            )
        if node is not None:
            self._walk(node, ())

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a file. Raises Usage where it can't be read or is no YAML mapping."""
        try:
            return cls(str(path), path.read_text(encoding="utf-8"))
        except OSError as error:
            raise Usage(f"{path}: {error.strerror}", do="name a file that can be read") from None
        except UnicodeDecodeError as error:
            raise Usage(f"{path}: not UTF-8 at byte {error.start}", do="save the file as UTF-8") from None

    def _walk(self, node: yaml.Node, path: Path_) -> None:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                at = (*path, str(key.value))
                self._lines[at] = key.start_mark.line + 1
                self._walk(value, at)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*path, index))

    def respell(self, spellings: Spellings) -> None:
        """Read keys by their old names as those that they are now, and warn of each. Raises Usage for one that is there by both."""
        for old, name in spellings.items():
            section: Any = self.data
            for part in old[:-1]:
                section = section.get(part) if isinstance(section, dict) else None
            if not isinstance(section, dict) or old[-1] not in section:
                continue
            where = f"{self.name}:{self.line(old)}: {'.'.join(old)}"
            if name in section:
                raise Usage(
                    f"{where}: this is the old name of {name}, which is there too",
                    do=f"keep {name}, and take {old[-1]} out",
                )
            warn(f"{where} is called {name} now; the old name is still read")
            section[name] = section.pop(old[-1])
            self._lines[(*old[:-1], name)] = self.line(old)

    def line(self, path: Path_) -> int:
        """The line of a key, or of the nearest one above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


M = TypeVar("M", bound=BaseModel)


def validate(
    model: type[M],
    data: dict[str, Any],
    document: Document | None = None,
    origins: Mapping[Path_, str] | None = None,
) -> M:
    """Check `data` against a pydantic model; the first thing wrong is raised with file, line and key.

    origins: path of a value that is not from the document to what set it (a flag or a variable), which is named instead.
    Raises Usage.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(part for part in first["loc"] if isinstance(part, (str, int)))
        key = ".".join(str(part) for part in path)
        where = f"{document.name}:{document.line(path)}: " if document is not None else ""
        if origins and path in origins:
            where = f"{origins[path]}: "
        if first["type"] == "extra_forbidden":
            raise Usage(f"{where}{key}: no such key", do=_known_keys(model, path)) from None
        message = first["msg"].removeprefix("Value error, ")
        raise Usage(
            f"{where}{key}: {message[:1].lower()}{message[1:]}, got {first['input']!r}",
            do=_described(model, path),
        ) from None


def _model_at(model: type[BaseModel], path: Path_) -> type[BaseModel] | None:
    found: Any = model
    for part in path:
        field = (
            found.model_fields.get(str(part))
            if isinstance(found, type) and issubclass(found, BaseModel)
            else None
        )
        if field is None:
            return None
        found = field.annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _known_keys(model: type[BaseModel], path: Path_) -> str:
    parent = _model_at(model, path[:-1])
    known = sorted(field.alias or name for name, field in parent.model_fields.items()) if parent else []
    close = difflib.get_close_matches(str(path[-1]), known, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"the keys here are: {', '.join(known)}" if known else "remove the key"


def _described(model: type[BaseModel], path: Path_) -> str:
    parent = _model_at(model, path[:-1])
    field = parent.model_fields.get(str(path[-1])) if parent is not None and path else None
    if field is not None and field.description:
        return f"it is {field.description}"
    return "see configs/migctl.yaml, where each key is explained"
