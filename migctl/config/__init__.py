"""Settings, stage files and the target: read once, checked whole, every error with file, line and key."""

from migctl.config.loading import flag, load, usable
from migctl.config.secrets import secret
from migctl.config.settings import MODES, Mode, Settings
from migctl.config.target import Target, from_environment

__all__ = ["MODES", "Mode", "Settings", "Target", "flag", "from_environment", "load", "secret", "usable"]
