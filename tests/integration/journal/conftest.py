"""Fixtures of the journal: a path in a folder of its own, and the target's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.relaying import Tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def tables(migrated: str) -> Tables:
    return Tables(migrated)
