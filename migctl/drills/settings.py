"""Of one's own settings, those that a drill runs `serve` with: how it delivers and falls back, not where it listens.

A drill has a stack, a journal and producers of its own; what would reach anything of the operator's (the project, the old service,
a webhook, a token command) is never taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import yaml

from migctl.config import Settings
from migctl.config.address import is_loopback
from migctl.config.digest import delivery_settings
from migctl.config.staged import merge
from migctl.errors import Refused

_DO = (
    "unset SUPABASE_URL, and the drill runs on a stack of its own; what runs there may be listened to: "
    "`migctl drill canary`, `migctl drill silence`"
)


def refuse_foreign(settings: Settings, confirm: str | None) -> None:
    """Raises Refused where SUPABASE_URL names a project: a drill acts on parts, which only a stack of its own has.

    One on this machine is let be: the drill has its own beside it. confirm: what the operator gave as its name.
    """
    url = settings.supabase.url
    if url is None or is_loopback(urlsplit(url).hostname or ""):
        return
    if confirm is None:
        raise Refused(
            f"SUPABASE_URL is {url}: a drill breaks what it runs on, and this is not the embedded stack",
            do=_DO,
        )
    raise Refused(
        f"SUPABASE_URL is {url}: this drill kills and cuts parts that only a stack of its own has, and would publish an epoch of "
        "its own there, which your subscribers would go over to",
        do=_DO,
    )


def drilled(settings: Settings, *overlays: Mapping[str, object]) -> str:
    """The text of a migctl.yaml. overlays: sections that win, a later one over those before it."""
    taken: dict[str, object] = dict(delivery_settings(settings))
    for overlay in overlays:
        taken = merge(taken, dict(overlay))
    return yaml.safe_dump(taken, sort_keys=False, allow_unicode=True)
