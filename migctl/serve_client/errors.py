"""What can go wrong between us and a `serve`."""

from __future__ import annotations

from migctl.errors import Transient


class NotRunning(Transient):
    """No `serve` answers: exit 3."""


class NotUnderstood(Transient):
    """Something answers, and not as a `serve` of this version does: exit 3."""
