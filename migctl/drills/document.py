"""A drill's file: a YAML experiment in Chaos Toolkit's words, and the objectives that must hold. Checked; no I/O but reading it.

`title, description, configuration, steady-state-hypothesis, method, rollbacks` and activities are Chaos Toolkit's
(chaostoolkit.org, "experiment"); `objectives` and `without` are ours. There is no `background`: a fault stays armed until it is
lifted, and what is measured goes on beside it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from migctl.config.problems import Faulty, Problem
from migctl.config.validating import WithElsewhere, WithUnits, validate
from migctl.config.yamlfile import Document
from migctl.drills.objectives import NAMES as OBJECTIVES

MOST_BYTES = 1 << 20

# Each kind of subscriber, as `world.deployment.Subscriber` has it.
Kind = Literal[
    "whole", "whole:realtime", "whole:websocket", "websocket", "realtime", "changes", "legacy"
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
# Those of one transport: another one would hide that it is silent.
LISTENING_KINDS: tuple[Kind, ...] = ("websocket", "realtime", "changes")
Remedy = Literal["breaker", "canary", "restart", "catch-up", "compare", "tombstones", "keys"]

Scalar = str | int | float | bool | None


class Section(WithUnits, BaseModel):
    """Keys and values of a drill's file; one that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_below_a_key_is_no_mistake(cls, value: object) -> object:
        return {} if value is None else value


class Pauses(Section):
    """Seconds that pass before and after an activity."""

    before: Annotated[float, Field(ge=0, description="seconds, 0 or more")] = 0.0
    after: Annotated[float, Field(ge=0, description="seconds, 0 or more")] = 0.0


class MigctlProvider(Section):
    """One of our own functions. `migctl drill show --functions` lists them."""

    type: Literal["migctl"]
    func: Annotated[str, Field(min_length=1, description="the name of a function of migctl")]
    arguments: Annotated[dict[str, Any], Field(description="keys and values")] = {}


class ProcessProvider(Section):
    """A program of the operator's. It fails where its exit code is not what is tolerated; by default 0."""

    type: Literal["process"]
    path: Annotated[str, Field(min_length=1, description="a program")]
    arguments: Annotated[list[str], Field(description="a list of texts")] = []
    timeout: Annotated[float, Field(gt=0, description="seconds, above 0")] = 30.0


class HttpProvider(Section):
    """A request. It fails where its status is not what is tolerated; by default 200."""

    type: Literal["http"]
    url: Annotated[str, Field(pattern=r"^https?://", description="an http or https address")]
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"], Field(description="GET, POST, ...")
    ] = "GET"
    headers: Annotated[dict[str, str], Field(description="name to value")] = {}
    arguments: Annotated[dict[str, Any] | None, Field(description="the body, sent as JSON")] = None
    timeout: Annotated[float, Field(gt=0, description="seconds, above 0")] = 10.0


class Between(Section):
    """A number between two, both included."""

    type: Literal["range"]
    range: Annotated[tuple[float, float], Field(description="two numbers, the lower first")]

    @field_validator("range")
    @classmethod
    def _in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        if math.isnan(value[0]) or math.isnan(value[1]) or value[0] > value[1]:
            raise ValueError("expected the lower one first")
        return value


class Matches(Section):
    """A text in which this pattern is found."""

    type: Literal["regex"]
    pattern: Annotated[str, Field(description="a regular expression")]

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return value


Tolerance = Scalar | list[Scalar] | Annotated[Between | Matches, Field(discriminator="type")]


class Activity(WithElsewhere, Section):
    """A probe, which asks, or an action, which does."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "background": "take it out: a fault stays armed until it is lifted, while the drill goes on",
        "controls": "take it out: drills have no controls",
        "secrets": "take it out: what an activity may know is in the environment",
    }

    type: Annotated[Literal["probe", "action"], Field(description="probe or action")]
    name: Annotated[str, Field(min_length=1, description="a name for people, once in the file")]
    provider: Annotated[
        MigctlProvider | ProcessProvider | HttpProvider,
        Field(discriminator="type", description="keys type (migctl, process or http) and what that needs"),
    ]
    tolerance: Annotated[Tolerance, Field(description="a value, a list of them, a range or a regex")] = None
    pauses: Pauses = Pauses()

    def tolerates(self, value: object) -> bool:
        """Whether a probe's value is as it should be. Without a tolerance it has to be true."""
        match self.tolerance:
            case None:
                return bool(value)
            case Between(range=(low, high)):
                return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
            case Matches(pattern=pattern):
                return isinstance(value, str) and re.search(pattern, value) is not None
            case list() as some:
                return any(_same(one, value) for one in some)
            case one:
                return _same(one, value)


def _same(expected: object, value: object) -> bool:
    # True is no 1 here, though Python has it so.
    return isinstance(expected, bool) == isinstance(value, bool) and expected == value


class Hypothesis(Section):
    """What is true of a system that is well: each probe within its tolerance."""

    title: Annotated[str, Field(min_length=1, description="one line for people")]
    probes: Annotated[list[Activity], Field(min_length=1, description="a list of probes, at least one")]

    @field_validator("probes")
    @classmethod
    def _only_probes(cls, value: list[Activity]) -> list[Activity]:
        for one in value:
            if one.type != "probe":
                raise ValueError(
                    f"{one.name}: expected probes only: what does something belongs into `method`"
                )
        return value


class Subscribers(Section):
    """How many of each kind, each a process of its own."""

    whole: Annotated[int, Field(ge=0, description="a number")] = 0
    whole_realtime: Annotated[int, Field(ge=0, alias="whole:realtime", description="a number")] = 0
    whole_websocket: Annotated[int, Field(ge=0, alias="whole:websocket", description="a number")] = 0
    websocket: Annotated[int, Field(ge=0, description="a number")] = 0
    realtime: Annotated[int, Field(ge=0, description="a number")] = 0
    changes: Annotated[int, Field(ge=0, description="a number")] = 0
    legacy: Annotated[int, Field(ge=0, description="a number")] = 0

    @model_validator(mode="after")
    def _somebody(self) -> Subscribers:
        if not sum(self.by_kind().values()):
            raise ValueError("expected one at least: what nobody receives can't be measured")
        return self

    def by_kind(self) -> dict[Kind, int]:
        return {kind: getattr(self, kind.replace(":", "_")) for kind in KINDS}


class Configuration(Section):
    """The load, who subscribes, and how long things may take. Times in seconds."""

    rate_per_s: Annotated[float, Field(gt=0, description="events a second, above 0")] = 200.0
    recording: Annotated[
        str | None, Field(description="an NDJSON file of recorded events, published in place of made ones")
    ] = None
    source: Annotated[
        str | None,
        Field(
            pattern=r"^wss?://[^/?#@]+",
            description="ws://HOST:PORT/PATH, a live stream that serve taps; mapped as `source` of the settings",
        ),
    ] = None
    workers: Annotated[int, Field(ge=1, description="producers, at least 1")] = 4
    batch: Annotated[int, Field(ge=1, description="events a request, at least 1")] = 1
    subscribers: Annotated[
        Subscribers | None,
        Field(description="kind to number; null in a read-only drill: probes alone listen"),
    ] = Subscribers.model_validate(
        {"whole:realtime": 2, "whole:websocket": 1, "websocket": 1, "realtime": 1, "legacy": 1}
    )
    token_ttl_s: Annotated[float, Field(gt=0, description="seconds that a subscriber's token lives")] = 3600.0
    rtt_ms: Annotated[float, Field(ge=0, description="milliseconds there and back to Supabase")] = 0.0
    flag: Annotated[
        Literal["realtime", "websocket", "record"],
        Field(description="the kill switch of serve; record: none, who has what is said by the flag"),
    ] = "realtime"
    supervised: Annotated[
        bool, Field(description="true: `serve --supervised`, which starts a worker again that was killed")
    ] = False
    clock: Annotated[
        bool, Field(description="true: the clock of serve can be stepped, which needs libfaketime")
    ] = False
    disk_mib: Annotated[
        int | None,
        Field(
            ge=8,
            description="MiB, 8 or more: the state of serve is on a file system of this size, which can be full; "
            "needs root or user namespaces",
        ),
    ] = None
    redis: Annotated[
        bool, Field(description="true: flags are pushed over a Redis too, the stack's Valkey")
    ] = False
    calm_s: Annotated[float, Field(ge=0, description="seconds of load before the method, and after it")] = 3.0
    steady_within_s: Annotated[
        float, Field(gt=0, description="seconds within which the hypothesis must hold again")
    ] = 30.0
    drain_s: Annotated[float, Field(gt=0, description="seconds within which everything must have come")] = (
        60.0
    )
    settings: Annotated[
        dict[str, Any], Field(description="sections of migctl.yaml, laid over one's own")
    ] = {}

    @model_validator(mode="after")
    def _one_load(self) -> Configuration:
        if self.source is not None and self.recording is not None:
            raise ValueError("source and recording: expected one of them, a live stream or a recorded one")
        return self


class Objectives(Section):
    """Bounds, with unit and direction in the key. Lost, duplicates and out of order are 0 unless a file says otherwise."""

    max_lost: Annotated[int, Field(ge=0, description="a number of events")] = 0
    max_duplicates: Annotated[int, Field(ge=0, description="a number of events")] = 0
    max_out_of_order: Annotated[int, Field(ge=0, description="a number of events")] = 0
    max_time_to_detect_ms: Annotated[float | None, Field(gt=0, description="milliseconds, above 0")] = None
    max_time_to_fallback_ms: Annotated[float | None, Field(gt=0, description="milliseconds, above 0")] = None
    max_time_to_recover_ms: Annotated[float | None, Field(gt=0, description="milliseconds, above 0")] = None
    max_latency_p99_ms: Annotated[float | None, Field(gt=0, description="milliseconds, above 0")] = None
    max_longest_silence_ms: Annotated[float | None, Field(gt=0, description="milliseconds, above 0")] = None
    min_availability_percent: Annotated[
        float | None, Field(ge=0, le=100, description="percent, 0 to 100")
    ] = None

    def bounds(self) -> dict[str, float]:
        """Each that is asked for, by its key."""
        return {name: float(value) for name in OBJECTIVES if (value := getattr(self, name)) is not None}


class Drill(WithElsewhere, Section):
    """One file. without: a remedy, and the objective that must fail while it is switched off."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "runtime": "take it out: rollbacks run always, and the hypothesis is checked before, after, and after the rollbacks",
        "controls": "take it out: drills have no controls",
        "secrets": "take it out: keys come from the environment only",
    }

    title: Annotated[str, Field(min_length=1, description="one line for people")]
    description: Annotated[str, Field(min_length=1, description="what is rehearsed, and what is expected")]
    tags: Annotated[list[str], Field(description="a list of texts")] = []
    read_only: Annotated[
        bool,
        Field(
            alias="read-only",
            description="true: it only listens to the deployment that runs, and changes nothing; probes and `listen` alone",
        ),
    ] = False
    configuration: Annotated[Configuration, Field(description="load, subscribers, times")] = Configuration()
    steady_state_hypothesis: Annotated[
        Hypothesis, Field(alias="steady-state-hypothesis", description="keys title and probes")
    ]
    method: Annotated[list[Activity], Field(min_length=1, description="a list of activities, at least one")]
    rollbacks: Annotated[list[Activity], Field(description="a list of actions")] = []
    objectives: Annotated[Objectives, Field(description="bound to number")] = Objectives()
    without: Annotated[
        dict[Remedy, str], Field(description="remedy to the objective that must then fail")
    ] = {}

    @field_validator("without")
    @classmethod
    def _known(cls, value: dict[Remedy, str]) -> dict[Remedy, str]:
        for remedy, measure in value.items():
            if measure not in {name.partition("_")[2] for name in OBJECTIVES}:
                raise ValueError(f"{remedy}: no objective measures {measure!r}")
        return value

    @model_validator(mode="after")
    def _listens_to_what_it_can(self) -> Drill:
        of = self.configuration.subscribers
        if not self.read_only:
            if of is None:
                raise ValueError("configuration.subscribers: expected one at least, unless `read-only: true`")
            return self
        kinds = [kind for kind, count in (of.by_kind() if of is not None else {}).items() if count]
        if odd := [kind for kind in kinds if kind not in LISTENING_KINDS]:
            raise ValueError(
                f"configuration.subscribers: {', '.join(odd)}: a read-only drill has {', '.join(LISTENING_KINDS)}"
            )
        if self.configuration.source is not None:
            raise ValueError("configuration.source: a read-only drill has no serve that could tap it")
        if self.rollbacks or self.without:
            raise ValueError("a read-only drill changes nothing: take out rollbacks and without")
        return self

    @model_validator(mode="after")
    def _names_are_once(self) -> Drill:
        names = [one.name for one in self.activities()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the name {twice!r} is there twice: each activity has its own")
        measured = {name.partition("_")[2] for name in self.objectives.bounds()}
        for remedy, measure in self.without.items():
            if measure not in measured:
                raise ValueError(
                    f"without.{remedy}: {measure} must then fail, and objectives have no bound of it"
                )
        return self

    def activities(self) -> list[Activity]:
        return [*self.steady_state_hypothesis.probes, *self.method, *self.rollbacks]


def read(path: Path) -> Drill:
    """The drill of this file. Raises Faulty with file, line and key; functions are not looked up here (`functions.check`)."""
    document = Document.read(path, most_bytes=MOST_BYTES)
    if document.is_empty:
        do = "copy a drill that came with migctl: `migctl drill show failover --yaml`"
        raise Faulty([Problem(document.name, None, "", "is empty", do)])
    return validate(Drill, document.data, document)
