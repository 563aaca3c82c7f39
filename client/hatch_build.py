"""Run while migctl-client is built: takes its modules from migctl."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Client(BuildHookInterface):
    """The hook that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        here = Path(self.root)
        # Beside this folder in a checkout, inside it in an unpacked sdist.
        top = here if (here / "migctl").is_dir() else here.parent
        for path in _parts(here).files(top):
            build_data["force_include"][str(top / path)] = str(path)
        if top != here and self.target_name == "sdist":
            build_data["force_include"][str(top / "LICENSE")] = "LICENSE"


def _parts(here: Path) -> Any:
    """By its path: it is no module of a package."""
    spec = importlib.util.spec_from_file_location("_parts", here / "parts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
