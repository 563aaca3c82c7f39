"""A drill's file: what is read, and what is refused with file, line, key and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config.problems import Faulty
from migctl.drills.document import Activity, Drill
from migctl.drills.functions.checking import read

GOOD = """\
title: nothing fails
description: a drill in which nothing fails
steady-state-hypothesis:
  title: all is well
  probes:
    - type: probe
      name: breakers
      tolerance: closed
      provider: { type: migctl, func: breaker-state }
method:
  - type: action
    name: outage
    provider: { type: migctl, func: refuse, arguments: { line: supabase } }
    pauses: { after: 1 }
  - type: action
    name: over
    provider: { type: migctl, func: lift, arguments: { fault: outage } }
objectives: { max_time_to_fallback_ms: 2000 }
without: { breaker: time_to_fallback_ms }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_good_one_binds_each_activity_to_its_function(tmp_path: Path) -> None:
    found = read(write(tmp_path, GOOD))
    assert {
        name: bound.function.name if bound.function else "lift" for name, bound in found.bound.items()
    } == {
        "breakers": "breaker-state",
        "outage": "refuse",
        "over": "lift",
    }
    assert found.drill.objectives.bounds() == {
        "max_lost": 0.0,
        "max_duplicates": 0.0,
        "max_out_of_order": 0.0,
        "max_time_to_fallback_ms": 2000.0,
    }
    assert found.drill.method[0].pauses.after == 1


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("title: nothing fails\n", "titel: nothing fails\n", 1, "titel", "did you mean title?"),
        ("func: refuse,", "func: refuze,", 13, "method.0.provider.func", "did you mean refuse?"),
        ("line: supabase", "line: redis", 13, "method.0.provider.arguments.line", "supabase or gateway"),
        ("line: supabase", "lines: supabase", 13, "method.0.provider.arguments.lines", "did you mean line?"),
        ("fault: outage }", "fault: outrage }", 17, "method.1.provider.arguments.fault", "one of outage"),
        ("func: breaker-state", "func: refuse", 9, "steady-state-hypothesis.probes.0.provider.func", "type: action"),
        ("  - type: action\n    name: over", "  - type: probe\n    name: over", 17, "method.1.provider.func", "function"),
        ("{ after: 1 }", '{ after: "1s" }', 14, "method.0.pauses.after", "write 1"),
        ("max_time_to_fallback_ms: 2000", "max_time_to_fallback_ms: 2x", 18, "objectives.max_time_to_fallback_ms", "a time such"),
        ("max_time_to_fallback_ms: 2000", "max_fallback: 2", 18, "objectives.max_fallback", "did you mean"),
        ("breaker: time_to_fallback_ms", "breaker: time_to_detect_ms", 1, "", "no bound of it"),
        ("breaker: time", "brakes: time", 19, "without.brakes", ""),
        ("    name: over", "    name: outage", 1, "", "is there twice"),
        ("    pauses:", "    background: true\n    pauses:", 14, "method.0.background", "stays armed"),
    ],
)  # fmt: skip
def test_a_bad_one_is_refused_with_line_key_and_the_way_out(
    tmp_path: Path, old: str, new: str, line: int, key: str, words: str
) -> None:
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(Faulty) as caught:
        read(path)
    one = next(problem for problem in caught.value.problems if problem.key == key)
    assert (one.source, one.line) == (str(path), line)
    assert words in f"{one.what} {one.do}"


def test_another_load_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    found = read(write(tmp_path, GOOD))
    other = found.at(7)
    assert other.drill.configuration.rate_per_s == 7
    assert other.bound == found.bound
    assert other.drill.configuration.subscribers == found.drill.configuration.subscribers
    assert found.at(None) is found


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Faulty, match="is empty"):
        read(write(tmp_path, ""))


@pytest.mark.parametrize(
    ("tolerance", "good", "bad"),
    [
        (None, [True, 1, "x"], [False, 0, None, ""]),
        (0, [0, 0.0], [1, False, None, "0"]),
        (False, [False], [0, None, True]),
        ("closed", ["closed"], ["open", None]),
        (["closed", "half_open"], ["closed", "half_open"], ["open"]),
        ({"type": "range", "range": [1, 2.5]}, [1, 2, 2.5], [0.9, 3, True, "2", None]),
        ({"type": "regex", "pattern": "^ab"}, ["abc"], ["cab", 5, None]),
    ],
)
def test_a_tolerance_takes_what_it_names_and_nothing_else(
    tolerance: object, good: list[object], bad: list[object]
) -> None:
    one = Activity.model_validate(
        {"type": "probe", "name": "p", "tolerance": tolerance, "provider": {"type": "migctl", "func": "f"}}
    )
    assert [one.tolerates(value) for value in good] == [True] * len(good)
    assert [one.tolerates(value) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize("tolerance", [{"type": "range", "range": [2, 1]}, {"type": "regex", "pattern": "("}])
def test_a_tolerance_that_nothing_could_meet_is_refused(tolerance: object) -> None:
    with pytest.raises(ValueError, match=r"lower one first|no regular expression"):
        Activity.model_validate(
            {
                "type": "probe",
                "name": "p",
                "tolerance": tolerance,
                "provider": {"type": "migctl", "func": "f"},
            }
        )


def test_a_drill_that_nobody_receives_is_refused() -> None:
    with pytest.raises(ValueError, match="one at least"):
        Drill.model_validate({"configuration": {"subscribers": {"whole": 0}}})


def test_a_live_stream_takes_the_place_of_a_recorded_one(tmp_path: Path) -> None:
    text = GOOD.replace("method:", "configuration: { recording: x.ndjson }\nmethod:")
    other = read(write(tmp_path, text)).at(None, "ws://old/ws").drill.configuration
    assert (other.source, other.recording) == ("ws://old/ws", None)
    with pytest.raises(Faulty, match="expected one of them"):
        read(write(tmp_path, text.replace("{ recording:", "{ source: ws://old/ws, recording:")))
