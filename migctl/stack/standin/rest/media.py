"""In which form rows are answered, by the `Accept` header. Pure. As PostgREST negotiates: what is not offered is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from migctl.stack.standin.rest.errors import RestError

Form = Literal["array", "object", "csv"]

_ARRAY, _OBJECT = "application/vnd.pgrst.array+json", "application/vnd.pgrst.object+json"
_NAMES: dict[str, Form] = {
    "*/*": "array",
    "application/json": "array",
    "application/vnd.pgrst.array": "array",
    _ARRAY: "array",
    "application/vnd.pgrst.object": "object",
    _OBJECT: "object",
    "text/csv": "csv",
}


@dataclass(frozen=True, slots=True)
class Media:
    """strips: leaves out what is null."""

    form: Form = "array"
    strips: bool = False

    @property
    def content_type(self) -> str:
        match self.form:
            case "csv":
                name = "text/csv"
            case "object":
                name = _OBJECT
            case "array":
                name = _ARRAY if self.strips else "application/json"
        return f"{name}{';nulls=stripped' if self.strips else ''}; charset=utf-8"


def negotiated(accept: str | None) -> Media:
    """The first that is offered, by quality and then by order. Raises RestError."""
    if accept is None or not accept.strip():
        return Media()
    asked = sorted((_parsed(item) for item in accept.split(",")), key=lambda item: -item[2])
    for name, parameters, _ in asked:
        form = _NAMES.get(name)
        if form is not None:
            vendored = name.startswith("application/vnd.pgrst.")
            return Media(form, vendored and parameters.get("nulls") == "stripped")
    names = ", ".join(name for name, _, _ in asked)
    raise RestError(406, "PGRST107", f"None of these media types are available: {names}")


def _parsed(item: str) -> tuple[str, dict[str, str], float]:
    name, *rest = item.split(";")
    pairs = (part.partition("=") for part in rest)
    parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        quality = 1.0
    return name.strip().lower(), parameters, quality


def body_sql(media: Media, *, scalar: bool = False, single: bool = False) -> str:
    """The expression that makes the body of `_postgrest_t`. scalar: its one column alone. single: it is never an array."""
    if media.form == "csv":
        head = (
            "(SELECT coalesce(string_agg(a.k, ','), '') FROM (SELECT json_object_keys(r)::text AS k"
            " FROM (SELECT row_to_json(hh) AS r FROM pgrst_source AS hh LIMIT 1) s) a)"
        )
        lines = "substring(_postgrest_t::text, 2, length(_postgrest_t::text) - 2)"
        return f"{head} || E'\\n' || coalesce(string_agg({lines}, E'\\n'), '')"
    rows = f"json_agg({'_postgrest_t.pgrst_scalar' if scalar else '_postgrest_t'})"
    one = single or media.form == "object"
    if one:
        rows += "->0"
    if media.strips:
        rows = f"json_strip_nulls({rows})"
    return f"coalesce({rows}, '{'null' if one else '[]'}')::text"
