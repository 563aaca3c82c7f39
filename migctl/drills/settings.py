"""Of one's own settings, those that a drill runs `serve` with: how it delivers and falls back, not where it listens.

A drill has a stack, a journal and producers of its own; what would reach anything of the operator's (the project, the old service,
a webhook, a token command) is never taken over.
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from migctl.config import Settings
from migctl.config.digest import delivery_settings
from migctl.config.staged import merge


def drilled(settings: Settings, *overlays: Mapping[str, object]) -> str:
    """The text of a migctl.yaml. overlays: sections that win, a later one over those before it."""
    taken: dict[str, object] = dict(delivery_settings(settings))
    for overlay in overlays:
        taken = merge(taken, dict(overlay))
    return yaml.safe_dump(taken, sort_keys=False, allow_unicode=True)
