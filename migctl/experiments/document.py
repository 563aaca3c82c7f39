"""The document beside the flags: which flags are experiments, and how exposures are kept.

It is no part of the flag set: flagd's clients fail on a key in a flag that they don't know.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from migctl.config.settings import Section
from migctl.config.validating import validate
from migctl.config.yamlfile import Document

FlagKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")]


class ExposuresSection(Section):
    """The log of who was served what."""

    log: Annotated[bool, Field(description="true or false")] = True
    retain_days: Annotated[int, Field(ge=1, le=3650, description="days, 1 to 3650")] = 90
    max_per_day: Annotated[
        int, Field(ge=1, le=10_000_000, description="exposures a day, at most 10,000,000")
    ] = 200_000
    max_kept: Annotated[
        int, Field(ge=1, le=10_000_000, description="variants that users keep, at most 10,000,000")
    ] = 1_000_000


class Experiment(Section):
    """One flag whose variants are compared."""

    starts: Annotated[date | None, Field(description="its first day, UTC, such as 2026-01-31")] = None
    ends: Annotated[date | None, Field(description="its last day, UTC, such as 2026-02-28")] = None
    sticky: Annotated[
        bool,
        Field(description="true or false: who got a variant by a percentage keeps it while that changes"),
    ] = False
    block_minutes: Annotated[int, Field(ge=1, le=1440, description="minutes, 1 to 1440")] = 15
    min_blocks: Annotated[int, Field(ge=8, le=100_000, description="a number of blocks, at least 8")] = 20
    min_users: Annotated[int, Field(ge=1, description="users of each variant")] = 100
    min_errors: Annotated[int, Field(ge=1, description="a number of blocks with an error")] = 10
    confidence_percent: Annotated[float, Field(ge=50, lt=100, description="percent, 50 to below 100")] = 95.0
    min_ratio_p: Annotated[float, Field(gt=0, lt=0.5, description="a probability, below 0.5")] = 0.001

    @model_validator(mode="after")
    def _days(self) -> Experiment:
        if self.starts is not None and self.ends is not None and self.starts > self.ends:
            raise ValueError("expected starts on or before ends")
        return self

    def is_over(self, day: date) -> bool:
        return self.ends is not None and self.ends < day

    def runs_on(self, day: date) -> bool:
        return (self.starts is None or self.starts <= day) and (self.ends is None or day <= self.ends)


class Experiments(Section):
    """The whole document."""

    exposures: ExposuresSection = ExposuresSection()
    experiments: Annotated[
        dict[FlagKey, Experiment],
        Field(default_factory=dict, description="experiment by the key of its flag"),
    ]


def checked(document: Document) -> Experiments:
    """Raises Faulty, with all that is wrong."""
    return validate(Experiments, document.data, document)


def read_experiments(path: Path) -> Experiments:
    """Raises Faulty with file, line and key."""
    return checked(Document.read(path))
