"""Validate: capture what subscribers receive, compare it with the journal, and give a verdict.

`report` is what other rooms call; `python -m migctl.validate.shard` is one process's share of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migctl.validate.consistency import report
    from migctl.validate.gates import Bounds
    from migctl.validate.result import Report

__all__ = ["Bounds", "Report", "report"]


def __getattr__(name: str) -> Any:
    # Found when it is asked for: a capture needs none of it, and a shard only its own part.
    if name == "report":
        from migctl.validate.consistency import report

        return report
    if name == "Report":
        from migctl.validate.result import Report

        return Report
    if name == "Bounds":
        from migctl.validate.gates import Bounds

        return Bounds
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
