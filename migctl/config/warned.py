"""What is not quite right with a setting, but can be used: said once, as a Python warning, which the edge shows in its own way."""

from __future__ import annotations

import warnings


class SettingsWarning(UserWarning):
    """what was found, with file, line and key or with the variable; and what to write."""


def warn(what: str) -> None:
    warnings.warn(what, SettingsWarning, stacklevel=3)
