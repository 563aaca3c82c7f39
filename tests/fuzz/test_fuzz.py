"""The fuzzer: some seconds of it find nothing in the product, and all that is wrong with readers that have a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutating import mutated_bytes, mutated_json, mutated_yaml
from tests.fuzz.running import TOP, keep, run
from tests.fuzz.target import tried
from tests.fuzz.targets import TARGETS

PLANTED = "tests.fuzz.planted"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_good_examples_are_taken(target) -> None:
    assert len({one.name for one in TARGETS}) == len(TARGETS)
    for good in target.good:
        assert tried(target, good)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_some_seconds_find_nothing(tmp_path: Path) -> None:
    """A short turn of every target; `python -m tests.fuzz --seconds N` goes on for longer. The seed is one that was never tried."""
    seed = Random().randrange(1 << 32)
    names = [target.name for target in TARGETS]
    outcome = run(names, seconds=280, seed=seed, processes=2, turns=1, turn_s=0.15)
    paths = keep(tmp_path, list(outcome.findings.values()))
    told = "\n\n".join(
        f"{path}\n{one.signature}\n{one.trace}\n{one.input[:4000]}"
        for path, one in zip(paths, outcome.findings.values(), strict=True)
    )
    assert not outcome.findings, f"seed {seed}\n{told}"
    assert sorted(outcome.counts) == sorted(names)
    assert all(counts.taken for counts in outcome.counts.values())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("unchecked", "RecursionError"),
        ("quadratic", "TooLong"),
        ("greedy", "MemoryError"),
        ("fatal", "it ends the process"),
        ("stateful", "a good example is refused"),
    ],
)
def test_planted_mistake_is_found(name: str, signature: str) -> None:
    outcome = run([name], seconds=120, seed=1, processes=1, planted=PLANTED, enough=1)
    (found, *_) = outcome.findings.values()
    assert found.target == name
    assert signature in found.signature


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_wrong() -> None:
    outcome = run(["sound"], seconds=60, seed=1, processes=1, planted=PLANTED, turns=1)
    assert not outcome.findings
    assert outcome.counts["sound"].taken > 100


@pytest.mark.slow
def test_a_finding_is_replayed_from_its_file(tmp_path: Path) -> None:
    from tests.fuzz.worker import Finding

    (path,) = keep(tmp_path, [Finding("time", "was wrong once", "", b"2026-01-31T12:00:00Z".hex())])
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--replay", str(path)],
        capture_output=True, text=True, check=False, cwd=TOP, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "time: nothing is found any more\n")


@pytest.mark.parametrize("mutate", [mutated_bytes, mutated_json, mutated_yaml])
def test_mutations_are_the_same_for_a_seed_and_others_for_another(mutate) -> None:
    good = b'{"a": [1, {"b": "c"}], "d": null}'
    made = [
        [mutate(random, good, (b"word",), 1 << 16) for _ in range(50)]
        for random in (Random(1), Random(1), Random(2))
    ]
    assert made[0] == made[1] != made[2]
    assert len(set(made[0])) > 30
    assert max(map(len, made[0])) <= 1 << 16
