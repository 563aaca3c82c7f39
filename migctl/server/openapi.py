"""OpenAPI: the published document of every route, made of `operations` and of the structs that are sent and answered. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import msgspec

from migctl.server.access.rules import is_limited, purposes_of
from migctl.server.operations import OPERATIONS, Answer, Operation, Refusal, Schema

TITLE = "migctl serve"
VERSION = "1"

_REF = "#/components/schemas/{name}"
# In flagd's format, which no struct of ours says: `flags.definitions` reads it.
FLAG: Schema = {
    "type": "object",
    "required": ["state", "variants"],
    "additionalProperties": False,
    "properties": {
        "state": {"enum": ["ENABLED", "DISABLED"]},
        "variants": {"type": "object", "minProperties": 1, "description": "values of one type, by name"},
        "defaultVariant": {"type": ["string", "null"]},
        "targeting": {"type": "object", "description": "JsonLogic"},
        "metadata": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    },
}
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
SEGMENT: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "users": _TEXTS,
        "starts_with": _TEXTS,
        "ends_with": _TEXTS,
        "rule": {"description": "JsonLogic"},
    },
}


@cache
def document() -> dict[str, object]:
    """The document, OpenAPI 3.1."""
    shapes = sorted({shape for one in OPERATIONS for shape in _shapes(one)} | {Refusal}, key=repr)
    refs, components = msgspec.json.schema_components(shapes, schema_hook=_anything, ref_template=_REF)
    by_shape = dict(zip(shapes, refs, strict=True))
    components["PutFlag"]["properties"]["flag"] = FLAG
    components["PutSegment"]["properties"]["segment"] = SEGMENT
    paths: dict[str, dict[str, object]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, by_shape)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": "On loopback and without tokens no token is asked for; else `Authorization: Bearer TOKEN`.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _anything(shape: type) -> dict[str, object]:
    if shape is object:
        return {"description": "any JSON"}
    raise TypeError(f"no schema is known for {shape}")


def _shapes(operation: Operation) -> Iterator[type]:
    sent = (operation.body or {}).values()
    for shape in (*(answer.shape for answer in operation.answers.values()), *sent):
        if isinstance(shape, type):
            yield shape


def _operation(operation: Operation, by_shape: Mapping[type, Mapping[str, object]]) -> dict[str, object]:
    purposes = purposes_of(operation.method.upper(), operation.path)
    document: dict[str, object] = {
        "operationId": _id(operation),
        "summary": operation.summary,
        "responses": {
            str(status): _answer(answer, by_shape)
            for status, answer in sorted(_all_answers(operation, purposes).items())
        },
    }
    if operation.parameters:
        document["parameters"] = [
            {
                "name": one.name,
                "in": one.place,
                "description": one.description,
                "schema": one.schema,
                "required": one.required,
            }
            for one in operation.parameters
        ]
    if operation.body is not None:
        content = {kind: {"schema": _schema(shape, by_shape)} for kind, shape in operation.body.items()}
        document["requestBody"] = {"required": True, "content": content}
    if purposes:
        document["description"] = f"A token with purpose {' or '.join(purposes)}."
        # Optional, since nobody asks on loopback without tokens.
        document["security"] = [{}, {"token": []}]
    return document


def _all_answers(operation: Operation, purposes: tuple[str, ...]) -> dict[int, Answer]:
    answers = dict(operation.answers)
    # The guard asks about every route: a page of another site is refused where nobody needs a token, too.
    answers[403] = Answer("another purpose is needed, or a page of another site asks")
    if purposes:
        answers[401] = Answer("no token, or an unknown one", headers={"WWW-Authenticate": "Bearer"})
    if operation.body is not None:
        answers.setdefault(408, Answer("the body did not come in time"))
        answers.setdefault(413, Answer("too large"))
        answers.setdefault(415, Answer("an encoding that is not taken"))
        answers.setdefault(503, Answer("too many large requests at once", headers={"Retry-After": "seconds"}))
    if purposes or operation.limited or is_limited(operation.path):
        answers[429] = Answer("too many requests", headers={"Retry-After": "seconds"})
    return answers


def _answer(answer: Answer, by_shape: Mapping[type, Mapping[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {"description": answer.description}
    if answer.headers:
        made["headers"] = {
            name: {"description": of, "schema": {"type": "string"}} for name, of in answer.headers.items()
        }
    if answer.shape is not None:
        made["content"] = {answer.type: {"schema": _schema(answer.shape, by_shape)}}
    return made


def _schema(shape: type | Schema, by_shape: Mapping[type, Mapping[str, object]]) -> Mapping[str, object]:
    return by_shape[shape] if isinstance(shape, type) else shape


def _id(operation: Operation) -> str:
    words = [
        word.strip("{}") for word in operation.path.replace(".", "/").replace("-", "/").split("/") if word
    ]
    return "_".join([operation.method, *words]) or operation.method
