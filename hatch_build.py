"""Run while the package is built: gets the page's vendor files, where they are missing or stale.

A registry that can't be reached stops no installation: the page works without plots, and says which command mends it. With
MIGCTL_DASHBOARD=require it is an error, for CI and releases.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _building(root: str) -> Any:
    """By its path: migctl itself can't be imported here."""
    path = Path(root) / "migctl" / "dashboard" / "building.py"
    spec = importlib.util.spec_from_file_location("_building", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Vendor(BuildHookInterface):
    """The hook that pyproject.toml names."""

    def dependencies(self) -> list[str]:
        building = _building(self.root)
        return [building.NODE] if building.lacking() is not None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        building = _building(self.root)
        why = building.lacking()
        if why is None:
            return
        try:
            building.fetch(npm=building.packaged_npm())
        except (building.NotFetched, OSError) as error:
            if os.environ.get("MIGCTL_DASHBOARD") == "require":
                raise
            self.app.display_warning(f"{why}, and could not be fetched: {error}; later: {building.REMEDY}")
            print(f"migctl: {why}: {error}; later: {building.REMEDY}", file=sys.stderr)
