"""Every drill that ships: nothing lost or doubled, the hypothesis holds again; and those that name a remedy fail without it.

How quick it was is in the drill's own objectives, which a machine that runs four tests at once may miss: it is not asked here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migctl.drills import catalog
from migctl.drills.functions.checking import read, with_changes
from migctl.drills.functions.soak import Changes, OfSoak, plan
from migctl.faults.clock import library
from tests.kit import needs
from tests.kit.serve_process import run

# Their length is the operator's choice.
LONG = {"soak"}
# These listen to the deployment that runs: tests/cli/drill/test_read_only.py.
READ_ONLY = {name for name in catalog.names() if read(catalog.path_of(name)).drill.read_only}
# What is lost does not ask how many there are, and a machine that runs four tests at once has better things to do. A limit of
# messages a second is not reached by few.
RATE = {"rate-limit": "200", "slow-subscriber": "50", "soak": "50"}
REMEDIES = [
    (name, remedy, objective)
    for name in catalog.names()
    for remedy, objective in read(catalog.path_of(name)).drill.without.items()
]


def drilled(folder: Path, name: str, *words: str) -> tuple[int, dict[str, Any]]:
    done = run(folder, "drill", name, "--rate", RATE.get(name, "25"), *words, "--output", "json")
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in catalog.names() if name not in LONG | READ_ONLY])
def test_nothing_is_lost_and_the_hypothesis_holds_again(tmp_path: Path, name: str) -> None:
    if name == "clock-step" and library() is None:
        needs.program("libfaketime")
    _, found = drilled(tmp_path, name)
    if name in ("disk-full", "disk-low") and not found["steady_states"]:
        needs.right(f"to mount: {found['reason']}")
    assert (found["lost"], found["duplicates"], found["out_of_order"]) == (0, 0, 0), found["reason"]
    assert [(one["when"], one["holds"]) for one in found["steady_states"]] == [
        ("before", True),
        ("after", True),
        ("after_rollbacks", True),
    ]
    assert found["published"] > 100
    assert found["faults"]
    assert "inconclusive" not in [one["verdict"] for one in found["objectives"]]
    assert all(one["complete"] for one in found["subscribers"])
    # A command that moves users has the time in which it did, and not only that it ended.
    moved = [one for one in found["faults"] if one["function"] in ("take-back", "rollout-complete")]
    assert all(one["time_to_fallback_ms"] is not None for one in moved)
    assert len(moved) == (name in ("rollback", "cutover"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "remedy", "objective"), REMEDIES)
def test_without_its_remedy_it_fails_by_the_objective_that_it_names(
    tmp_path: Path, name: str, remedy: str, objective: str
) -> None:
    code, found = drilled(tmp_path, name, "--without", remedy)
    assert code == 1
    assert found["verdict"] == "fail"
    failed = [one["name"].partition("_")[2] for one in found["objectives"] if one["verdict"] == "fail"]
    assert objective in failed
    assert found["without"] == [remedy]


@pytest.mark.slow
def test_a_soak_loses_nothing_and_arms_and_lifts_what_its_seed_draws(tmp_path: Path) -> None:
    names = ("reset", "channels closed", "gateway reset")
    checked = with_changes(read(catalog.path_of("soak")), "soak", Changes(0.2, 3, 7, names))
    [of] = [one.arguments for one in checked.bound.values() if isinstance(one.arguments, OfSoak)]
    drawn = [one.name for one in plan(of, 7)]
    assert len(drawn) >= 2
    words = [word for name in names for word in ("--only", name)]
    code, found = drilled(tmp_path, "soak", "--minutes", "0.2", "--every", "3", "--seed", "7", *words)
    assert (found["lost"], found["duplicates"], found["out_of_order"]) == (0, 0, 0), found["reason"]
    assert (code, found["verdict"], found["seed"]) == (0, "pass", 7)
    assert [one["name"] for one in found["faults"]] == drawn
    assert all(one["armed_at_ms"] < one["lifted_at_ms"] for one in found["faults"])
    struck = [(one["kind"], one["what"].partition(":")[0]) for one in found["timeline"]]
    assert [what for kind, what in struck if kind == "fault"] == drawn
    assert [what for kind, what in struck if kind == "lift"] == drawn
    # It was shorter than the file says: it stands for no gate.
    assert not (tmp_path / "drills.ndjson").exists()
