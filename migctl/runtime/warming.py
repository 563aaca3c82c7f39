"""Warming: everything that a `serve` imports, in memory before it is needed. Nothing is opened, and nothing is begun."""

from __future__ import annotations

import gc
from importlib import import_module

# What is imported where it is used, and what each of them draws in.
NEEDED = (
    "uvloop",
    "migctl.ingest",
    "migctl.runtime.composing",
    "migctl.runtime.witness",
    "migctl.runtime.service",
    "migctl.server",
    "migctl.server.routes.clients",
    "migctl.server.routes.flag_admin",
    "migctl.server.routes.flags_api",
    "migctl.server.routes.marker",
    "migctl.server.routes.ofrep",
    "migctl.server.routes.dead_letters",
    "migctl.flags.managing",
    "migctl.target.token_command",
    "migctl.supervision",
)


def warm() -> None:
    """Import all of it, and keep the collector from walking through it again."""
    for name in NEEDED:
        import_module(name)
    gc.collect()
    gc.freeze()
