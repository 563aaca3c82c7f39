"""Building: what counts as fresh, and what a registry that is away comes to."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from migctl.dashboard import building
from migctl.dashboard.building import FILES, HERE, STAMP, NotFetched, fetch, lacking

# Puts what npm would: a package with the files that are shipped.
PUTS = """
import pathlib
for name in {names!r}:
    path = pathlib.Path("node_modules") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def puts() -> list[str]:
    return [sys.executable, "-c", PUTS.format(names=list(FILES.values()))]


def test_without_a_stamp_it_is_missing_and_fetched_it_is_fresh(folder: Path) -> None:
    assert lacking(folder) == "the chart library is missing"
    assert [path.name for path in fetch(folder, puts())] == list(FILES)
    assert lacking(folder) is None


def test_another_lock_makes_it_stale(folder: Path) -> None:
    fetch(folder, puts())
    (folder / "package-lock.json").write_text("{}")
    assert lacking(folder) == "the chart library is stale"


def test_a_file_that_is_gone_or_changed_makes_it_incomplete(folder: Path) -> None:
    fetch(folder, puts())
    (folder / "static" / "vendor" / "uPlot.esm.js").write_text("other")
    assert lacking(folder) == "the chart library is incomplete: uPlot.esm.js"


def test_a_registry_that_is_away_leaves_no_stamp_and_says_why(folder: Path) -> None:
    away = [sys.executable, "-c", "import sys; sys.exit('npm error network unreachable')"]
    with pytest.raises(NotFetched, match="npm error network unreachable"):
        fetch(folder, away)
    assert not (folder / "static" / "vendor" / STAMP).exists()


def test_the_lock_names_no_address() -> None:
    assert "://" not in (building.HERE / "package-lock.json").read_text()
