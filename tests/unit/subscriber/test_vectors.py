"""The cores in Python and in JavaScript do the same, call by call, as tests/vectors has it (`tests.kit.vectors` writes it)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit.mutations import MUTATIONS, Mutation
from tests.kit.node import CLIENT, JS, node
from tests.kit.replaying import replayed
from tests.kit.vectors import FOLDER, NAMES, lives


@pytest.mark.parametrize("name", NAMES)
def test_core_in_python_does_what_the_vectors_say(name: str) -> None:
    for number, life in enumerate(lives(name), 1):
        for at, ((method, words, *recorded), *now) in enumerate(replayed(name, life), 1):
            assert now == recorded, f"life {number}, call {at}: {method} {words}"


@pytest.mark.parametrize("name", NAMES)
def test_core_in_javascript_does_what_the_vectors_say(name: str) -> None:
    done = node(JS / "replay.mjs", CLIENT, FOLDER, name)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == sum(len(calls) for _, calls in lives(name)) > 200


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_vectors_notice_a_mistake_in_the_javascript(mutation: Mutation, tmp_path: Path) -> None:
    done = node(JS / "replay.mjs", mutation.make(tmp_path), FOLDER, mutation.machine)
    assert done.returncode == 1, f"nothing notices that {mutation.what}"
    assert "AssertionError" in done.stderr


def test_vectors_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 100_000 * len(NAMES)
