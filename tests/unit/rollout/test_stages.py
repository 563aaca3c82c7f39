from __future__ import annotations

from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.rollout.stages import NAMES, load, load_all, read


def test_the_stages_that_ship_are_one_walk() -> None:
    stages = load_all(Path("/nonexistent"))
    assert list(stages) == list(NAMES)
    assert [stage.open.percent for stage in stages.values()] == [0, 25, 50, 75, 100, 100]
    assert all(stage.mode == "dual" for stage in stages.values())
    assert stages["2a-internal"].drills == ["failover"]


def test_a_gate_knows_its_bound_and_the_cohorts_that_need_events() -> None:
    step = load("2b-25", Path("/nonexistent")).step()
    assert (step.percent, step.segments, step.soak_minutes) == (25, {"internal": 100}, 1440)
    first = step.gates[0]
    assert (first.name, first.bound, first.failure_limit, first.cohorts) == (
        "min_match_percent",
        99.9,
        1,
        ("internal",),
    )


def test_a_file_of_ones_own_wins(tmp_path: Path) -> None:
    own = tmp_path / "configs" / "stages"
    own.mkdir(parents=True)
    (own / "2b-25.yaml").write_text(
        "stage: 2b-25\ntitle: t\nopen: {percent: 30}\nsoak_minutes: 5\ngates: [{max_lost: 0}]\n"
    )
    assert load("2b-25", tmp_path).open.percent == 30
    (own / "2b-50.yaml").write_text(
        "stage: 2b-50\ntitle: t\nopen: {percent: 20}\nsoak_minutes: 5\ngates: [{max_lost: 0}]\n"
    )
    with pytest.raises(Usage, match="opens 20 %, and 2b-25 before it 30 %"):
        load_all(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gates: []", "bad.yaml:5: gates: "),
        ("gates: [{max_lost: 0, max_rejected: 0}]", "bad.yaml:5: gates.0: expected one bound of"),
        ("gates: [{failure_limit: 0}]", "bad.yaml:5: gates.0: expected one bound of"),
        ('gates: [{max_latency_p99_ms: "100 apples"}]', "bad.yaml:5: gates.0.max_latency_p99_ms: "),
        ("gates: [{max_lost: 0, dry_run: true}]", "expected one at least that is no dry_run"),
        ("gates: [{max_lost: 0, min_event: 5}]", "bad.yaml:5: gates.0.min_event: no such key"),
        (
            "gates: [{max_lost: 0}]\nsettings: {journal: {}}",
            "a stage may change relay, resilience and fallback",
        ),
    ],
)
def test_a_bad_stage_is_refused_with_file_line_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"stage: bad\ntitle: t\nopen: {{percent: 1}}\nsoak_minutes: 5\n{text}\n")
    with pytest.raises(Usage) as error:
        read(path)
    assert words in str(error.value)


def test_a_stage_is_named_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("stage: bad\ntitle: t\nopen: {percent: 1}\nsoak_minutes: 5\ngates: [{max_lost: 0}]\n")
    with pytest.raises(Usage, match="name the stage as its file"):
        read(path)
