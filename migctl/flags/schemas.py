"""JSON Schemas of flag sets and segments, for editors: their form. What a rule means only `definitions` knows. Pure."""

from __future__ import annotations

from typing import Any

from migctl.flags.bucketing import BUCKETING
from migctl.flags.logic import KNOWN
from migctl.flags.shares import ALL, EVERYTHING

_SCALAR = {"type": ["string", "number", "boolean"]}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_RULE: dict[str, Any] = {
    "description": "JsonLogic, with flagd's operators",
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        {"type": "array", "items": {"$ref": "#/$defs/rule"}},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {
                **{name: {"$ref": "#/$defs/rule"} for name in sorted(KNOWN)},
                "$ref": {"type": "string", "description": "NAME of $evaluators"},
            },
            "additionalProperties": False,
        },
    ],
}


def flags_schema() -> dict[str, Any]:
    """Of a flag set in flagd's format."""
    metadata = {
        "type": ["object", "null"],
        "propertyNames": {"minLength": 1},
        "additionalProperties": _SCALAR,
    }
    kinds: list[dict[str, Any]] = [
        {"type": "boolean"}, {"type": "string"}, {"type": "number"}, {"type": ["object", "array"]},
    ]  # fmt: skip
    flag = {
        "type": "object",
        "required": ["state", "variants"],
        "additionalProperties": False,
        "properties": {
            "state": {
                "enum": ["ENABLED", "DISABLED"],
                "description": "DISABLED leaves everybody on the default",
            },
            "variants": {
                "type": "object",
                "minProperties": 1,
                "description": "what there is to choose from, all of one type; the order of a split is never changed",
                "anyOf": [{"additionalProperties": kind} for kind in kinds],
            },
            "defaultVariant": {"type": ["string", "null"], "description": "null leaves it to the code"},
            "targeting": {
                "description": "who has what",
                "anyOf": [
                    {"type": "null"},
                    {"type": "object", "maxProperties": 0},
                    {"allOf": [{"type": "object"}, {"$ref": "#/$defs/rule"}]},
                ],
            },
            "metadata": metadata,
        },
    }
    bucketing = {"const": BUCKETING, "description": "how keys fall into a split"}
    return {
        "type": "object",
        "required": ["flags"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "flags": {
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z0-9._-]+$"},
                "additionalProperties": flag,
            },
            "$evaluators": {
                "type": ["object", "null"],
                "description": "rules by name; `segment.NAME` is a segment",
                "additionalProperties": {"$ref": "#/$defs/rule"},
            },
            "metadata": {**metadata, "properties": {"bucketing": bucketing}},
        },
        "$defs": {"rule": _RULE},
    }


def segments_schema() -> dict[str, Any]:
    """Of a file of segments."""
    keys = {
        "users": {**_TEXTS, "description": "targeting keys; numbers in quotes"},
        "starts_with": {**_TEXTS, "description": "keys that begin so"},
        "ends_with": {**_TEXTS, "description": "keys that end so"},
    }
    return {
        "type": "object",
        "required": ["segments"],
        "properties": {
            "segments": {
                "type": "object",
                "propertyNames": {"minLength": 1, "not": {"enum": [ALL, EVERYTHING]}},
                "additionalProperties": {
                    "type": "object",
                    "minProperties": 1,
                    "oneOf": [
                        {"properties": keys, "additionalProperties": False},
                        {
                            "properties": {"rule": {"$ref": "#/$defs/rule"}},
                            "required": ["rule"],
                            "additionalProperties": False,
                        },
                    ],
                },
            }
        },
        "$defs": {"rule": _RULE},
    }
