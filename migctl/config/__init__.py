"""Settings, stage files and the target: read once, checked whole, every error with file, line and key."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migctl.config.loading import flag, load, usable
    from migctl.config.modes import MODES, Mode
    from migctl.config.secrets import secret
    from migctl.config.settings import Settings
    from migctl.config.target import Target, from_environment

__all__ = ["MODES", "Mode", "Settings", "Target", "flag", "from_environment", "load", "secret", "usable"]

# Imported when they are first used: what checks settings costs 300 ms, and a service that publishes or subscribes has none.
_WHERE = {
    "MODES": "migctl.config.modes",
    "Mode": "migctl.config.modes",
    "Settings": "migctl.config.settings",
    "Target": "migctl.config.target",
    "flag": "migctl.config.loading",
    "from_environment": "migctl.config.target",
    "load": "migctl.config.loading",
    "secret": "migctl.config.secrets",
    "usable": "migctl.config.loading",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'migctl.config' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
