"""The documents and the command line use the words of the glossary, and none of those that once stood beside them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "runbooks/*.md", "configs/**/*.yaml")
    for path in ROOT.glob(pattern)
    if not path.name.startswith(".")
)

# Another word for a thing that has one, and the word to take.
FORBIDDEN = {
    r"\b(?:is|are|was|were|be|been) told\b": "is sent, logged, printed, or answered",
    r"\bseen (?:by|to)\b": "received, observed",
    r"\bbur(?:y|ied|ying)\b": "dead letter",
    r"\buncompared\b": "unconfirmed",
    r"\bdropped hints?\b": "superseded",
    r"\b(?:watermark|bookmark)\b": "cursor, position",
    r"\bconsumers?\b": "subscriber",
    r"\b(?:dlq|poison pill|dead-letter queue)\b": "dead letter",
    r"\bgenerations?\b": "epoch",
}
WORDS = (
    *("event type", "event class", "source", "journal", "epoch", "seq", "position", "cursor", "head", "tail", "relay", "batch"),
    *("broadcast", "hint", "transport", "gateway", "subscriber", "standby", "canary", "publisher", "gate", "evidence", "breaker"),
    *("fallback", "backlog", "catch-up", "gap", "tombstone", "dead letter", "capture", "release", "discrepancy", "mismatch"),
    *("fault", "stand-in", "tap", "outage", "unconfirmed"),
)  # fmt: skip


def found_in(name: str, text: str) -> list[str]:
    return [
        f"{name}: {match[0]!r}, say: {instead}"
        for pattern, instead in FORBIDDEN.items()
        for match in re.finditer(pattern, re.sub(r"`[^`]*`", "", text), re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_has_one_word_for_one_thing(path: Path) -> None:
    assert found_in(path.name, path.read_text()) == []


def test_the_command_line_has_one_word_for_one_thing() -> None:
    code = """
import typer
from migctl.cli.main import build

def walk(command, path):
    yield path + ": " + (command.help or "")
    for parameter in command.params:
        yield path + " " + parameter.name + ": " + (getattr(parameter, "help", None) or "")
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, path + " " + name)

print("\\n".join(line.replace("\\n", " ") for line in walk(typer.main.get_command(build()), "migctl")))
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=180
    )
    lines = said.stdout.splitlines()
    assert len(lines) > 100
    assert [each for line in lines for each in found_in(line.partition(":")[0], line)] == []


def test_the_glossary_has_each_word_once() -> None:
    rows = re.findall(
        r"^\| ([a-z][^|]*?) \| [^|]+ \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE
    )
    words = [word for row in rows if row != "word" for word in row.split(", ")]
    assert len(set(words)) == len(words)
    assert set(WORDS) <= set(words), set(WORDS) - set(words)
