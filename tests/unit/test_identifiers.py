"""Identifiers of migctl/ use the standard words of the glossary for what is done: none says, tells, looks or sees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "migctl"

_WORD = r"say|says|said|saying|tell|tells|told|telling|look|looks|looked|looking|see|sees|saw|seen|seeing"
_SNAKE = re.compile(rf"(?:^|_)(?:{_WORD})(?:_|$)", re.IGNORECASE)
_CAMEL = re.compile(rf"(?:{'|'.join(word.capitalize() for word in _WORD.split('|'))})(?=[A-Z]|$)")

# name: why it stays.
ANYWHERE = {
    "last_seen": "a key that operators read: `migctl clients`, the status, the state file",
    "seen_at": "a column of monitoring_processes, and a key of `migctl flags processes`",
}
# (module, name): why it stays.
HERE = {
    ("migctl.config.yamlfile", "seen"): "what was met already, so that a second one is found",
    ("migctl.journal.model", "seen"): "what was met already, so that a second one is found",
}


def identifiers(of: ast.AST) -> Iterator[str]:
    """What this code gives a name to."""
    for node in ast.walk(of):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield name
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from names


def is_odd(name: str) -> bool:
    return _SNAKE.search(name) is not None or _CAMEL.search(name) is not None


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def found() -> set[tuple[str, str]]:
    odd = set[tuple[str, str]]()
    for path in sorted(PACKAGE.rglob("*.py")):
        module = module_of(path)
        names = {*identifiers(ast.parse(path.read_text())), module.rpartition(".")[2]}
        odd |= {(module, name) for name in names if is_odd(name)}
    return odd


def test_an_identifier_says_what_is_done_in_a_standard_word() -> None:
    odd = [one for one in sorted(found()) if one not in HERE and one[1] not in ANYWHERE]
    assert odd == [], "take the word for what it is: docs/glossary.md, `Doing`"


def test_what_may_stay_is_still_there() -> None:
    there = found()
    assert HERE.keys() <= there
    assert ANYWHERE.keys() <= {name for _, name in there}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def look(): ...", "look"),
        ("async def _tell(): ...", "_tell"),
        ("class SeenStatus: ...", "SeenStatus"),
        ("class Told: ...", "Told"),
        ("LOOK_EVERY_S = 1", "LOOK_EVERY_S"),
        ("def f(*, told): ...", "told"),
        ("lambda said: said", "said"),
        ("self.told_n = 1", "told_n"),
        ("said: int = 1", "said"),
        ("for seen in (): ...", "seen"),
        ("from a import b as look", "look"),
        ("if (said := 1): ...", "said"),
        ("with a as told: ...", "told"),
    ],
)
def test_each_way_to_give_a_name_is_found(code: str, name: str) -> None:
    assert [one for one in identifiers(ast.parse(code)) if is_odd(one)] == [name]


@pytest.mark.parametrize("name", ["seed", "lookup", "Seeing_", "overseen", "essay", "foretold", "Telling"])
def test_a_word_within_another_is_none(name: str) -> None:
    assert is_odd(name) == (name in ("Seeing_", "Telling"))
