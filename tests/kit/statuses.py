"""Documents of `/api/status` as real processes gave them, and one in which every part has something to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from migctl.status import ServeStatus, read

FOLDER = Path(__file__).parent / "statuses"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def document(name: str) -> dict[str, Any]:
    """As it was answered."""
    found: dict[str, Any] = msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())
    return found


def status(name: str = "everything") -> ServeStatus:
    return read((FOLDER / f"{name}.json").read_bytes())
