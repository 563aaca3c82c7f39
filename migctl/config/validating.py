"""What a document says, held against a pydantic model: everything that is wrong, each with file, line, key and the way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError, model_validator

from migctl.config import units
from migctl.config.problems import Faulty, Problem
from migctl.config.yamlfile import Document, Path_
from migctl.printable import brief
from migctl.redaction import redact

M = TypeVar("M", bound=BaseModel)

_HOME = re.compile(r"~[A-Za-z0-9_.-]*/|~$")
_WITH_UNIT = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:%|[A-Za-z]{1,8})\s*")


class WithElsewhere(BaseModel):
    """A model that says of keys it does not have where they belong. elsewhere: key to the way out."""

    elsewhere: ClassVar[Mapping[str, str]] = {}


class WithUnits(BaseModel):
    """A model whose keys that end with a unit take a text with another one, see `units`."""

    @model_validator(mode="before")
    @classmethod
    def _with_units(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        made = {
            key: number
            for key, given in value.items()
            if isinstance(given, str) and isinstance(key, str)
            if (number := units.amount(key, given)) is not None
        }
        return {**value, **made} if made else value


def validate(
    model: type[M],
    data: Mapping[str, Any],
    document: Document | None = None,
    origins: Mapping[Path_, str] | None = None,
) -> M:
    """Check `data` against a pydantic model. Raises Faulty, with all that is wrong.

    document: where data is from, whose own problems count too. origins: path of a value that is not from it to what set it (a
    flag or a variable), which is named instead.
    """
    problems = list(document.problems) if document is not None else []
    problems += [_home(model, path, text, document, origins or {}) for path, text in _homes(model, data, ())]
    made: M | None = None
    try:
        made = model.model_validate(data)
    except ValidationError as error:
        # A key that is no text the document has told of already, with its line.
        found = [
            _problem(model, one, document, origins or {})
            for one in error.errors(include_url=False)
            if not (problems and (one["type"] == "invalid_key" or "[key]" in one["loc"][-1:]))
        ]
        at = {(one.line, one.key) for one in problems}
        for one in found:  # a union tells of each of its arms
            if (one.line, one.key) not in at:
                problems.append(one)
                at.add((one.line, one.key))
    if problems or made is None:
        raise Faulty(problems)
    return made


def _homes(model: type[BaseModel], below: object, path: Path_) -> Iterator[tuple[Path_, str]]:
    """Texts of settings that begin as a path below somebody's home: nothing here reads them so."""
    if isinstance(below, Mapping):
        for key, value in below.items():
            yield from _homes(model, value, (*path, key))
    elif isinstance(below, str) and _HOME.match(below) and field_at(model, path) is not None:
        yield path, below


def _home(
    model: type[BaseModel], path: Path_, text: str, document: Document | None, origins: Mapping[Path_, str]
) -> Problem:
    source, line = (document.name, document.line(path)) if document is not None else ("settings", None)
    if path in origins:
        source, line = origins[path], None
    what = f"`~` is not read as a home here{_got(text, field_at(model, path))}"
    return Problem(source, line, ".".join(map(str, path)), what, "write the whole path, from / on")


def _problem(
    model: type[BaseModel], error: Any, document: Document | None, origins: Mapping[Path_, str]
) -> Problem:
    path: Path_ = tuple(part for part in error["loc"] if isinstance(part, (str, int)))
    named = path  # as the model has it; the document may know of the key by another way, or not at all
    is_unknown, is_missing = error["type"] == "extra_forbidden", error["type"] == "missing"
    if document is not None and not is_missing and path not in origins:
        while path and not document.has(path):
            path = path[:-1]
    source, line = (document.name, document.line(path)) if document is not None else ("settings", None)
    origin = next((origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), None)
    if origin is not None:
        source, line = origin, None
    key = ".".join(map(str, path))
    field = field_at(model, path)
    expected = field.description if field is not None else None
    if is_unknown:
        return Problem(
            source, line, key or ".".join(map(str, named)), "no such key", _known_keys(model, named)
        )
    if is_missing:
        do = f"write `{path[-1]}: ...`" + (f", {expected}" if expected else "")
        return Problem(source, line, key, "is not there, and has no default", do, expected)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in ("model_type", "dict_type"):
        message = "expected keys and values"
    do = f"it is {expected}" if expected else "see configs/, where each key is explained"
    given = error["input"]
    with_unit = _WITH_UNIT.fullmatch(given) if isinstance(given, str) else None
    if with_unit and error["type"] in ("float_parsing", "int_parsing", "float_type", "int_type"):
        do = units.advice(str(path[-1])) or f"write {with_unit[1]}; the unit is in the key"
    what = f"{message[:1].lower()}{message[1:]}{_got(given, field)}"
    return Problem(source, line, key, what, do, expected)


def _got(given: object, field: Any) -> str:
    """`, got VALUE`; nothing of what may hold a secret (`repr=False`), and nothing of a whole section."""
    if field is not None and not field.repr:
        return ""
    text = brief(given, 80, first=redact)  # before it is cut: half a secret is not known
    return "" if isinstance(given, (Mapping, list)) and text.endswith("…") else f", got {text}"


def field_at(model: type[BaseModel], path: Path_) -> Any:
    """The field that this path of a document is of; None where there is none."""
    parent = _model_at(model, path[:-1]) if path else None
    return _field(parent, str(path[-1])) if parent is not None else None


def is_section(model: type[BaseModel], path: Path_) -> bool:
    """Keys and values of a model of their own stand there."""
    return _model_at(model, path) is not None


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """Field by the name that it has in a document."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _field(model: type[BaseModel], key: str) -> Any:
    return keys_of(model).get(key)


def _model_at(model: type[BaseModel], path: Path_) -> type[BaseModel] | None:
    found: Any = model
    for part in path:
        owner = next(_models(found), None)
        if isinstance(part, int) or (owner is None and get_origin(found) is dict):
            arguments = get_args(found)
            found = arguments[-1] if arguments else None
            continue
        field = _field(owner, part) if owner is not None else None
        if field is None:
            return None
        found = field.annotation
    return next(_models(found), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The model of an annotation, or of one arm of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, Annotated) or type(annotation).__name__ == "UnionType":
        for one in get_args(annotation):
            yield from _models(one)


def _known_keys(model: type[BaseModel], path: Path_) -> str:
    parent = _model_at(model, path[:-1])
    key = str(path[-1]) if path else ""
    if parent is None:
        return "remove the key"
    if issubclass(parent, WithElsewhere) and key in parent.elsewhere:
        return parent.elsewhere[key]
    known = sorted(keys_of(parent))
    close = difflib.get_close_matches(key, known, 1)
    if close:
        return f"did you mean {close[0]}?"
    inside = next((f"{name}.{key}" for name in known for one in _inner(parent, name) if key in one), None)
    return f"did you mean {inside}?" if inside else f"the keys here are: {', '.join(known)}"


def _inner(model: type[BaseModel], name: str) -> Iterator[Mapping[str, Any]]:
    for one in _models(_field(model, name).annotation):
        yield keys_of(one)
