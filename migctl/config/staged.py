"""What a stage may change of the settings while `serve` runs, and the settings with that laid over them. Pure.

The models are those of `settings` with nothing required: a stage says only what differs. What a running `serve` can't take over is
not in them, and is refused with where it belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, create_model

from migctl.config.problems import Faulty, Problem
from migctl.config.settings import (
    BatchingSection,
    BreakerSection,
    CanarySection,
    ClassBounds,
    FallbackSection,
    RatesSection,
    ResilienceSection,
    RetrySection,
    Section,
    Settings,
    TimeoutSection,
)
from migctl.config.validating import validate

SECTIONS = ("relay", "resilience", "fallback")

# What only a start reads.
_AT_START = "a running serve can't take it over: set it in migctl.yaml, and start serve again"
_ELSEWHERE = "a stage may change relay, resilience and fallback; set it in migctl.yaml"

# By section: why a stage does not say what may change while `serve` runs all the same.
NOT_STAGED: Mapping[str, str] = {
    "log_level": "it is for who reads the log, in any stage",
    "journal": "what is kept is for all that may still have to be read, also after the stage",
    "ingest": "producers know of no stage",
    "http": "who brings a wrong token knows of no stage",
    "gateway": "who is on the WebSocket is there by the stage's share, on the same terms as before",
    "legacy": "who feeds old dashboards goes by where the producer is, which a stage does not know",
    "realtime": "they are the plan's limits, which no stage changes",
    "evidence": "what a window has to hold alerts; whether a stage goes on is for its gates",
    "flags": "clients of flags know of no stage",
}


class Staged(Section):
    """A section of a stage: what it does not say stays as it is."""

    model_config = ConfigDict(strict=True)


def _partial(of: type[Section], *, but: tuple[str, ...] = (), **inner: type[Staged]) -> type[Staged]:
    """The section with nothing required, and without some keys. inner: sections in it that are partial themselves."""
    fields: dict[str, Any] = {}
    for name, field in of.model_fields.items():
        if name not in but:
            kind: Any = inner.get(name, field.annotation)
            for constraint in field.metadata:
                kind = Annotated[kind, constraint]
            fields[name] = (Annotated[kind, Field(description=field.description)], None)
    made = create_model(f"Staged{of.__name__}", __base__=Staged, **fields)
    made.elsewhere = dict.fromkeys(but, _AT_START)
    return made


if TYPE_CHECKING:

    class StageSettings(Staged):
        """The sections relay, resilience and fallback of one stage."""

else:
    _bounds = _partial(ClassBounds)
    _relay = _partial(
        BatchingSection,
        but=("claim_s",),
        high=_bounds, medium=_bounds, low=_bounds, rates=_partial(RatesSection),
    )  # fmt: skip
    _resilience = _partial(
        ResilienceSection,
        breaker=_partial(BreakerSection),
        retry=_partial(RetrySection),
        systemic_retry=_partial(RetrySection),
        request_timeout=_partial(TimeoutSection),
        canary=_partial(CanarySection),
    )
    StageSettings = create_model(
        "StageSettings",
        __base__=Staged,
        relay=(Annotated[_relay, Field(description="batching")], _relay()),
        resilience=(Annotated[_resilience, Field(description="breakers and timeouts")], _resilience()),
        fallback=(_partial(FallbackSection), _partial(FallbackSection)()),
    )
    StageSettings.elsewhere = {name: _ELSEWHERE for name in Settings.model_fields if name not in SECTIONS}


def laid(settings: StageSettings) -> dict[str, Any]:
    """What a stage says, and nothing else."""
    return settings.model_dump(by_alias=True, exclude_unset=True)


def overlaid(settings: Settings, stage: StageSettings, *, source: str = "the stage") -> Settings:
    """The settings with what the stage says laid over them, checked as settings are.

    Sections are merged key by key; a value, a list or a table of patterns takes the place of what was there. Raises Faulty for what
    the settings' own rules refuse: source and `settings.` before the key say that it is the stage's.
    """
    overlay = laid(stage)
    try:
        # A frozen tree: what is not touched is as it was checked before.
        merged = merge(settings.model_dump(by_alias=True), overlay)
        return validate(Settings, merged)
    except Faulty as error:
        raise Faulty(
            [
                Problem(
                    source,
                    None,
                    f"settings.{one.key}",
                    f"{one.what} (laid over the settings)",
                    one.do,
                    one.expected,
                )
                for one in error.problems
            ]
        ) from None


def merge(
    below: Mapping[str, Any], over: Mapping[str, Any], *, whole: tuple[str, ...] = ("classes",)
) -> dict[str, Any]:
    """Key by key. whole: names of tables that are a value: their order counts."""
    made = dict(below)
    for key, value in over.items():
        there = made.get(key)
        if isinstance(value, Mapping) and isinstance(there, Mapping) and key not in whole:
            made[key] = merge(there, value, whole=whole)
        else:
            made[key] = value
    return made
