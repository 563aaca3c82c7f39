"""Stages: one YAML file each, checked; what a rollout opens, how long it soaks, and what must hold.

A gate's bound stands under a key that says its unit and its direction. What a stage says of batching, resilience and fallback is
laid over the settings while the rollout is in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from migctl.config.assets import config_file
from migctl.config.loading import MOST_BYTES, Resolved, written
from migctl.config.modes import Mode
from migctl.config.problems import Faulty, Problem
from migctl.config.staged import StageSettings, laid, overlaid
from migctl.config.validating import WithElsewhere, WithUnits, validate
from migctl.config.yamlfile import Document
from migctl.errors import Usage
from migctl.flags.shares import ALL, EVERYTHING
from migctl.rollout.gates import Gate, GateName
from migctl.rollout.walk import Step

# In the order in which they are walked.
NAMES = ("2a-internal", "2b-25", "2b-50", "2b-75", "2b-100", "2c-deprecate")
# Those that `rollout run` walks, and that a share can stand at; the last is `rollout complete`.
WALKED = NAMES[:-1]
_GATES: tuple[str, ...] = get_args(GateName)


class _Section(WithElsewhere, WithUnits, BaseModel):
    """Numbers are numbers here: no other text, no true for 1, no inf."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _one_bound(schema: dict[str, Any]) -> None:
    """What `_has_one_bound` says, for editors."""
    schema["oneOf"] = [{"required": [name]} for name in _GATES]
    for name in _GATES:
        field = schema["properties"][name]
        field |= next(arm for arm in field.pop("anyOf") if arm.get("type") != "null")
        field.pop("default")


def _one_decides(schema: dict[str, Any]) -> None:
    """What `_a_gate_decides` says, for editors."""
    dry = {"properties": {"dry_run": {"const": True}}, "required": ["dry_run"]}
    schema["properties"]["gates"]["contains"] = {"not": dry}


class GateSection(_Section):
    """One bound, and what is done about it."""

    model_config = ConfigDict(json_schema_extra=_one_bound)

    min_match_percent: Annotated[float | None, Field(ge=0, le=100, description="percent, 0 to 100")] = None
    max_latency_p99_ms: Annotated[float | None, Field(gt=0, description="milliseconds, above 0")] = None
    max_delay_p99_ms: Annotated[float | None, Field(gt=0, description="milliseconds, above 0")] = None
    max_error_rate_percent: Annotated[float | None, Field(ge=0, le=100, description="percent, 0 to 100")] = (
        None
    )
    max_lost: Annotated[int | None, Field(ge=0, description="a number of events in the whole soak")] = None
    max_rejected: Annotated[int | None, Field(ge=0, description="a number of events in the whole soak")] = (
        None
    )
    min_availability_percent: Annotated[
        float | None, Field(ge=0, le=100, description="percent, 0 to 100")
    ] = None
    failure_limit: Annotated[int, Field(ge=0, description="minutes that may be beyond the bound")] = 0
    min_events: Annotated[
        int, Field(ge=1, description="events at each transport, and in each cohort, at least 1")
    ] = 1
    no_data: Annotated[Literal["pause", "abort"], Field(description="pause or abort")] = "pause"
    on_failure: Annotated[Literal["pause", "abort"], Field(description="pause or abort")] = "abort"
    dry_run: Annotated[bool, Field(description="true or false: judged and shown, and decides nothing")] = (
        False
    )

    @model_validator(mode="after")
    def _has_one_bound(self) -> GateSection:
        given = [name for name in _GATES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one bound of {', '.join(_GATES)}, and there are {len(given)}")
        return self

    def gate(self, cohorts: tuple[str, ...]) -> Gate:
        name: Any = next(name for name in _GATES if getattr(self, name) is not None)
        return Gate(
            name,
            float(getattr(self, name)),
            failure_limit=self.failure_limit,
            min_events=self.min_events,
            no_data=self.no_data,
            on_failure=self.on_failure,
            dry_run=self.dry_run,
            cohorts=cohorts,
        )


def _no_other_split(schema: dict[str, Any]) -> None:
    """What `_no_name_of_another_split` says, for editors."""
    schema["properties"]["segments"]["propertyNames"] = {"minLength": 1, "not": {"enum": [ALL, EVERYTHING]}}


class OpenSection(_Section):
    """What the stage opens. Cohorts move on their own: a segment that is named has its own share."""

    model_config = ConfigDict(json_schema_extra=_no_other_split)

    percent: Annotated[float, Field(ge=0, le=100, description="percent of everybody, 0 to 100")]
    segments: Annotated[
        dict[Annotated[str, Field(min_length=1)], Annotated[float, Field(ge=0, le=100)]],
        Field(description="segment to percent, 0 to 100"),
    ] = {}

    @field_validator("percent")
    @classmethod
    def _in_hundredths(cls, value: float) -> float:
        return _share(value)

    @field_validator("segments")
    @classmethod
    def _no_name_of_another_split(cls, value: dict[str, float]) -> dict[str, float]:
        for name, percent in value.items():
            if name in (ALL, EVERYTHING):
                raise ValueError(f"a segment can't be called {name!r}")
            _share(percent)
        return value


def _share(percent: float) -> float:
    """As flags write it. Raises ValueError."""
    if round(percent * 100) != round(percent * 100, 6):
        raise ValueError("a share is in hundredths of a percent at the finest")
    return percent


class Stage(_Section):
    """One file."""

    model_config = ConfigDict(json_schema_extra=_one_decides)

    stage: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="the file's name, without .yaml")
    ]
    title: Annotated[str, Field(min_length=1, description="one line for people")]
    mode: Annotated[Mode, Field(description="one of websocket, realtime, dual")] = "dual"
    open: OpenSection
    soak_minutes: Annotated[int, Field(ge=1, description="minutes of evidence, at least 1")]
    max_evidence_age_minutes: Annotated[float, Field(gt=0, description="minutes, above 0")] = 5.0
    move_timeout_s: Annotated[float, Field(gt=0, description="seconds, above 0")] = 120.0
    settle_timeout_s: Annotated[float, Field(gt=0, description="seconds, above 0")] = 60.0
    gates: Annotated[list[GateSection], Field(min_length=1, description="a list of bounds, at least one")]
    drills: Annotated[list[str], Field(description="drills that must have passed")] = []
    max_drill_age_hours: Annotated[float, Field(gt=0, description="hours, above 0")] = 168.0
    rampdown_minutes: Annotated[
        float, Field(ge=0, description="minutes in which the WebSocket is still fed")
    ] = 0.0
    drain_minutes: Annotated[float, Field(ge=0, description="minutes without a WebSocket subscriber")] = 60.0
    settings: Annotated[
        StageSettings, Field(description="sections relay, resilience and fallback, laid over the settings")
    ] = StageSettings()

    @model_validator(mode="after")
    def _a_gate_decides(self) -> Stage:
        if all(gate.dry_run for gate in self.gates):
            raise ValueError(
                "gates: expected one at least that is no dry_run: with none the stage never passes"
            )
        return self

    def step(self, window_s: float = 60.0) -> Step:
        """As the walk needs it. window_s: of the witness whose evidence it goes by."""
        cohorts = tuple(name for name, percent in self.open.segments.items() if percent > 0)
        return Step(
            stage=self.stage,
            percent=self.open.percent,
            segments=dict(self.open.segments),
            gates=tuple(one.gate(cohorts) for one in self.gates),
            soak_minutes=self.soak_minutes,
            max_evidence_age_s=60.0 * self.max_evidence_age_minutes,
            move_timeout_s=self.move_timeout_s,
            settle_timeout_s=self.settle_timeout_s,
            window_s=window_s,
            drills=tuple(self.drills),
            max_drill_age_s=3600.0 * self.max_drill_age_hours,
        )


def load(name: str, folder: Path | None = None) -> Stage:
    """A stage by its name: `configs/stages/NAME.yaml` here, else the one that came with migctl. Raises Usage."""
    return read(path_of(name, folder))


def read(path: Path) -> Stage:
    """Raises Faulty with file, line and key."""
    return read_document(Document.read(path, most_bytes=MOST_BYTES), path)


def read_document(document: Document, path: Path) -> Stage:
    """The stage that this document says. path: its file. Raises Faulty."""
    if document.is_empty:
        do = "copy the stage that came with migctl, and change that"
        raise Faulty([Problem(document.name, None, "", "is empty", do)])
    problems: list[Problem] = []
    stage: Stage | None = None
    try:
        stage = validate(Stage, document.data, document)
    except Faulty as error:
        problems += error.problems
    named = document.data.get("stage")
    if isinstance(named, str) and named != path.stem:
        what, do = f"{named!r}, and the file is {path.name}", "name the stage as its file"
        problems.append(Problem(document.name, document.line(("stage",)), "stage", what, do))
    if problems or stage is None:
        raise Faulty(problems)
    return stage


def over(below: Resolved, name: str, folder: Path | None = None) -> Resolved:
    """Settings with those of a stage laid over them, and what each value is from then. Raises Usage."""
    path = path_of(name, folder)
    document = Document.read(path, most_bytes=MOST_BYTES)
    stage = read_document(document, path)
    overlay = laid(stage.settings)
    origins = {at: f"{document.name}:{document.line(('settings', *at))}" for at in written(overlay)}
    settings = overlaid(below.settings, stage.settings, source=document.name)
    return Resolved(settings, below.file, {**below.origins, **origins})


def load_all(folder: Path | None = None) -> Mapping[str, Stage]:
    """All stages, in the order in which they are walked. Raises Usage, also where a later one opens less."""
    stages = {name: load(name, folder) for name in NAMES}
    for before, after in pairwise(stages.values()):
        for key, what in opens_less(before, after):
            name = f"stage {after.stage}"
            raise Faulty([Problem(name, None, key, what, OPEN_MORE)])
    return stages


OPEN_MORE = "let each stage open at least what the one before it does; going back is `migctl rollout revert`"


def opens_less(before: Stage, after: Stage) -> Iterator[tuple[str, str]]:
    """Key and what is wrong, for everybody and each segment that the later stage has less of."""
    if after.open.percent < before.open.percent:
        yield (
            "open.percent",
            f"opens {after.open.percent:g} %, and {before.stage} before it {before.open.percent:g} %",
        )
    for name, had in before.open.segments.items():
        # One that a stage does not name keeps the share that it has.
        has = after.open.segments.get(name, had)
        if has < had:
            what = f"opens {has:g} % of segment {name}, and {before.stage} before it {had:g} %"
            yield f"open.segments.{name}", what


def path_of(name: str, folder: Path | None = None) -> Path:
    """The file of a stage. Raises Usage where there is none of this name."""
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, 1)
        do = f"did you mean {close[0]}?" if close else f"name one of {', '.join(NAMES)}"
        raise Usage(f"there is no stage {name!r}", do=do)
    return config_file(f"stages/{name}.yaml", cwd=folder)
