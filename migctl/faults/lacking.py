"""Something that a fault needs is not on this machine."""

from __future__ import annotations

from migctl.errors import Usage


class Lacking(Usage):
    """It was not begun, so it proves nothing either way; `do` says how the machine gets what it lacks."""
