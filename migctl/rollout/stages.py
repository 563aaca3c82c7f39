"""Stages: one YAML file each, checked; what a rollout opens, how long it soaks, and what must hold.

A gate's bound stands under a key that says its unit and its direction. What a stage says of batching, resilience and fallback is
laid over the settings while the rollout is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from migctl.config.assets import folder as asset_folder
from migctl.config.settings import Mode
from migctl.config.yamlfile import Document, validate
from migctl.errors import Usage
from migctl.rollout.gates import Gate, GateName
from migctl.rollout.walk import Step

# In the order in which they are walked.
NAMES = ("2a-internal", "2b-25", "2b-50", "2b-75", "2b-100", "2c-deprecate")
_GATES: tuple[str, ...] = get_args(GateName)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GateSection(_Section):
    """One bound, and what is done about it."""

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


class OpenSection(_Section):
    """What the stage opens. Cohorts move on their own: a segment that is named has its own share."""

    percent: Annotated[float, Field(ge=0, le=100, description="percent of everybody, 0 to 100")]
    segments: Annotated[
        dict[str, Annotated[float, Field(ge=0, le=100)]], Field(description="segment to percent, 0 to 100")
    ] = {}


class Stage(_Section):
    """One file."""

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
    drain_minutes: Annotated[float, Field(ge=0, description="minutes without a WebSocket subscriber")] = 0.0
    settings: Annotated[
        dict[str, Any], Field(description="sections relay, resilience and fallback, laid over the settings")
    ] = {}

    @model_validator(mode="after")
    def _only_what_may_change(self) -> Stage:
        wrong = sorted(set(self.settings) - {"relay", "resilience", "fallback"})
        if wrong:
            raise ValueError(
                f"settings: a stage may change relay, resilience and fallback, not {', '.join(wrong)}"
            )
        return self

    def step(self) -> Step:
        """As the walk needs it."""
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
        )


def load(name: str, folder: Path | None = None) -> Stage:
    """A stage by its name: `configs/stages/NAME.yaml` here, else the one that came with migctl. Raises Usage."""
    return read(_path(name, folder or Path.cwd()))


def read(path: Path) -> Stage:
    """Raises Usage with file, line and key."""
    document = Document.read(path)
    stage = validate(Stage, document.data, document)
    if stage.stage != path.stem:
        raise Usage(
            f"{path}:{document.line(('stage',))}: stage: {stage.stage!r}, and the file is {path.stem}.yaml",
            do="name the stage as its file",
        )
    return stage


def load_all(folder: Path | None = None) -> Mapping[str, Stage]:
    """All stages, in the order in which they are walked. Raises Usage, also where a later one opens less."""
    stages = {name: load(name, folder) for name in NAMES}
    before: Stage | None = None
    for stage in stages.values():
        if before is not None and stage.open.percent < before.open.percent:
            raise Usage(
                f"stage {stage.stage} opens {stage.open.percent:g} %, and {before.stage} before it {before.open.percent:g} %",
                do="let each stage open at least what the one before it does; going back is `migctl rollout revert`",
            )
        before = stage
    return stages


def _path(name: str, here: Path) -> Path:
    own = here / "configs" / "stages" / f"{name}.yaml"
    path = own if own.is_file() else asset_folder("configs") / "stages" / f"{name}.yaml"
    if not path.is_file():
        raise Usage(f"there is no stage {name!r}", do=f"name one of {', '.join(NAMES)}, or write {own}")
    return path


def json_schema() -> dict[str, Any]:
    """For editors."""
    return Stage.model_json_schema()
