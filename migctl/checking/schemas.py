"""JSON Schemas for editors, of every kind of file, made from the models that read them.

A schema sees one value at a time: that one bound is above another, that a stage is named as its file, or what stands in another
file only `migctl config check` knows.
"""

from __future__ import annotations

from typing import Any, Literal

from migctl.config import Settings, units
from migctl.drills.document import Drill
from migctl.experiments.document import Experiments
from migctl.flags.schemas import flags_schema, segments_schema
from migctl.rollout.stages import Stage

SchemaName = Literal["settings", "stage", "flags", "segments", "experiments", "drill"]
NAMES: tuple[SchemaName, ...] = ("settings", "stage", "flags", "segments", "experiments", "drill")

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(name: SchemaName) -> dict[str, Any]:
    """The schema of one kind of file."""
    if name == "settings":
        made = _sections_may_be_empty(Settings.model_json_schema(by_alias=True))
        title = "migctl.yaml"
    elif name == "stage":
        made = _sections_may_be_empty(Stage.model_json_schema(by_alias=True), but=("open",))
        title = "configs/stages/NAME.yaml"
    elif name == "drill":
        made = _sections_may_be_empty(
            Drill.model_json_schema(by_alias=True), but=("steady-state-hypothesis",)
        )
        title = "configs/drills/NAME.yaml"
    elif name == "experiments":
        made = _sections_may_be_empty(Experiments.model_json_schema(by_alias=True))
        of_flags = made["properties"]["experiments"]
        key, experiment = of_flags.pop("patternProperties").popitem()
        of_flags |= {
            "propertyNames": {"pattern": key},
            "additionalProperties": {"anyOf": [experiment, {"type": "null"}]},
        }
        title = "configs/flags/experiments.yaml"
    else:
        made = flags_schema() if name == "flags" else segments_schema()
        title = f"configs/flags/{'transport' if name == 'flags' else 'segments'}.yaml"
    return {"$schema": _DIALECT, **made, "title": f"{title} of migctl"}


def _sections_may_be_empty(schema: dict[str, Any], *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """A key of a section with nothing below it is no mistake; sizes and times may have a unit."""
    for owner in (schema, *schema.get("$defs", {}).values()):
        for name, field in owner.get("properties", {}).items():
            if "$ref" in field and name not in but:
                field["anyOf"] = [{"$ref": field.pop("$ref")}, {"type": "null"}]
            with_unit = units.pattern(name)
            if with_unit is not None and field.get("type") in ("integer", "number"):
                number = {
                    key: field.pop(key) for key in [*field] if key not in ("title", "description", "default")
                }
                field["anyOf"] = [number, {"type": "string", "pattern": with_unit}]
            # What is shown as a default is that of the whole section, and only makes the schema long.
            if isinstance(field.get("default"), dict) and field["default"]:
                del field["default"]
    return schema
