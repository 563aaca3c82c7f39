"""Every entry of the product that reads what comes from outside, and what must be true of it."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import access, answers, events, files, flags, frames, kept, sources, times

TARGETS: tuple[Target, ...] = (
    *events.TARGETS,
    *sources.TARGETS,
    *frames.TARGETS,
    *answers.TARGETS,
    *files.TARGETS,
    *kept.TARGETS,
    *access.TARGETS,
    *flags.TARGETS,
    *times.TARGETS,
)
