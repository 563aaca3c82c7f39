"""Each row of the failure matrix names tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "runbooks" / "failure-matrix.md").read_text()
ROWS = [
    line.strip("|").split(" | ")
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what fails")
]
_REFERENCE = re.compile(r"`(tests/[^`:]+\.py)::(\w+)(?:\[([^\]]+)\])?`")

# What must have a row, by a word of it.
WANTED = (
    "killed", "response is lost", "down for minutes", "gateway down", "down at once", "PostgreSQL restarted", "slot lost", "Valkey",
    "disk full", "fsync", "torn tail", "backup", "journal lost", "poison", "storm", "1 MiB", "SIGSTOP", "half-open",
    "token expires", "channel closed", "too early", "rate limit", "row cap", "two publishers", "clock", "official client",
    "restored", "keys replaced",
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip()[:60] for row in ROWS])
def test_row_has_four_cells_and_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 4
    assert all(cell.strip() for cell in row)
    references = _REFERENCE.findall(row[3])
    assert references, "no test is named"
    assert not _REFERENCE.sub("", row[3]).strip(" |"), "something in the last cell is no test"
    for path, name, parameter in references:
        tree = ast.parse((ROOT / path).read_text())
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, f"{path} has no {name}"
        assert not parameter or parameter in _parameters(), parameter


def _parameters() -> tuple[str, ...]:
    from migctl.stack.standin.faults import NAMES

    return NAMES


@pytest.mark.parametrize("word", WANTED)
def test_failure_that_an_operator_asks_about_has_a_row(word: str) -> None:
    assert any(word in row[0] for row in ROWS)
