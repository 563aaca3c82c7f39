"""`config check`: every mistake of every file, and those that only several files show."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.checking.checking import Checked, check
from migctl.config.assets import folder
from migctl.drills import catalog

GOOD = "stage: {name}\ntitle: t\nopen: {{percent: {percent}}}\nsoak_minutes: 5\ngates: [{{max_lost: 0}}]\n"


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def looked(root: Path, *files: Path, **environ: str) -> Checked:
    return check(files, folder=root, environ=environ)


def told(found: Checked) -> list[tuple[str, int | None, str]]:
    return [(Path(one.source).name, one.line, one.key) for one in found.problems]


def test_what_ships_has_no_mistake_and_is_listed(tmp_path: Path) -> None:
    found = looked(tmp_path)
    assert not found.problems
    drills = ["drill"] * len(catalog.names())
    assert sorted(found.files.values()) == [*drills, "experiments", "flags", "segments", *["stage"] * 6]
    of_the_checkout = looked(folder("configs").parent)
    assert not of_the_checkout.problems
    assert "settings" in of_the_checkout.files.values()


def test_every_mistake_of_every_file_is_told_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    write(
        tmp_path, "migctl.yaml", "mode: both\nlisten: 127.0.0.1:80\nfallback: {hold: 1, hold_s: -1}\nx: 1\n"
    )
    bad = GOOD.format(name="2b-25", percent=125).replace("max_lost: 0", "max_lots: 0, failure_limit: -1")
    write(tmp_path, "configs/stages/2b-25.yaml", bad + "rampdown_minutes: 1x\n")
    write(
        tmp_path, "configs/flags/segments.yaml", "segments:\n  internal: {user: [a]}\n  two: {users: [4]}\n"
    )
    write(
        tmp_path,
        "configs/flags/mine.yaml",
        "flags:\n  a: {state: ON, variants: {x: 1}, defaultVariant: y}\n  b: {}\n",
    )
    found = looked(tmp_path)
    assert told(found) == [
        ("migctl.yaml", 1, "mode"), ("migctl.yaml", 3, "fallback.hold_s"), ("migctl.yaml", 3, "fallback.hold"),
        ("migctl.yaml", 4, "x"), ("2b-25.yaml", 3, "open.percent"), ("2b-25.yaml", 5, "gates.0.failure_limit"),
        ("2b-25.yaml", 5, "gates.0.max_lots"), ("2b-25.yaml", 6, "rampdown_minutes"),
        ("segments.yaml", 2, "segments.internal.user"), ("segments.yaml", 3, "segments.two.users"),
        ("mine.yaml", 2, "flags.a.state"), ("mine.yaml", 2, "flags.a.defaultVariant"),
        ("mine.yaml", 3, "flags.b.state"), ("mine.yaml", 3, "flags.b.variants"),
    ]  # fmt: skip
    assert all(one.do for one in found.problems)
    assert next(one for one in found.problems if one.key == "gates.0.max_lots").do == "did you mean max_lost?"
    assert (
        next(one for one in found.problems if one.key == "rampdown_minutes").do
        == "write a number in the unit of the key, or a time such as 500ms, 30s, 5m, 1h or 2d"
    )


def test_a_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    (problem,) = looked(tmp_path, MIGCTL_MODE="both").problems
    assert (problem.source, problem.key) == ("MIGCTL_MODE", "mode")


def test_a_later_stage_opens_no_less_to_everybody_and_to_each_segment(tmp_path: Path) -> None:
    write(tmp_path, "configs/stages/2b-25.yaml", GOOD.format(name="2b-25", percent=30))
    less = GOOD.format(name="2b-50", percent=20).replace("20}", "20, segments: {internal: 50}}")
    write(tmp_path, "configs/stages/2b-50.yaml", less)
    (problem,) = looked(tmp_path).problems
    assert (problem.line, problem.key) == (3, "open.percent")
    assert problem.what == "opens 20 %, and 2b-25 before it 30 %"
    write(
        tmp_path,
        "configs/stages/2b-25.yaml",
        GOOD.format(name="2b-25", percent=5).replace("5}", "5, segments: {internal: 60}}"),
    )
    assert told(looked(tmp_path)) == [
        ("2b-25.yaml", 3, "open.segments.internal"),
        ("2b-50.yaml", 3, "open.segments.internal"),
    ]


def test_segments_and_drills_that_nobody_knows_and_settings_that_don_t_fit_are_told(tmp_path: Path) -> None:
    write(tmp_path, "migctl.yaml", "resilience: {breaker: {open_s: 2, max_open_s: 3}}\n")
    stage = GOOD.format(name="2b-25", percent=25).replace("25}", "25, segments: {internl: 100, eu: 50}}")
    stage += "drills:\n  - failover\n  - failovr\n  - mine\nsettings:\n  resilience:\n    breaker:\n      open_s: 4\n"
    write(tmp_path, "configs/stages/2b-25.yaml", stage)
    write(tmp_path, "configs/drills/mine.yaml", "title: ours\n")
    found = looked(tmp_path)
    assert told(found) == [
        ("2b-25.yaml", 3, "open.segments.internl"), ("2b-25.yaml", 3, "open.segments.eu"), ("2b-25.yaml", 8, "drills.1"),
        ("2b-25.yaml", 12, "settings.resilience.breaker"), ("mine.yaml", 1, "description"),
        ("mine.yaml", 1, "steady-state-hypothesis"), ("mine.yaml", 1, "method"),
    ]  # fmt: skip
    assert found.problems[0].do == "did you mean internal?"
    assert found.problems[2].do == "did you mean failover?"
    write(tmp_path, "migctl.yaml", "resilience: {breaker: {open_s: 2, max_open_s: 5}}\n")
    assert ("2b-25.yaml", 12, "settings.resilience.breaker") not in told(looked(tmp_path))


def test_a_stage_that_waits_for_a_drill_which_rehearses_nothing_is_told(tmp_path: Path) -> None:
    stage = GOOD.format(name="2b-25", percent=25) + "drills: [silence, failover]\n"
    write(tmp_path, "configs/stages/2b-25.yaml", stage)
    found = looked(tmp_path)
    assert [one.key for one in found.problems] == ["drills.0"]
    assert "read-only" in found.problems[0].what


def test_a_folder_a_link_to_nothing_and_an_empty_file_don_t_hide_behind_what_ships(tmp_path: Path) -> None:
    (tmp_path / "configs" / "stages" / "2b-25.yaml").mkdir(parents=True)
    (tmp_path / "configs" / "stages" / "2b-50.yaml").symlink_to("nowhere")
    write(tmp_path, "configs/stages/2b-75.yaml", "# nothing yet\n")
    write(tmp_path, "configs/flags/segments.yaml", "")
    (tmp_path / "migctl.yaml").mkdir()
    found = {Path(one.source).name: one.what for one in looked(tmp_path).problems if one.key == ""}
    assert found == {
        "migctl.yaml": "Is a directory", "2b-25.yaml": "Is a directory", "2b-50.yaml": "is a link to nowhere, which is not there",
        "2b-75.yaml": "is empty", "segments.yaml": "is empty",
    }  # fmt: skip


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/data", GOOD.format(name="2b-25", percent=25))
    (tmp_path / "configs" / "stages").mkdir(parents=True)
    (tmp_path / "configs" / "stages" / "2b-25.yaml").symlink_to(tmp_path / "elsewhere" / "data")
    assert not looked(tmp_path).problems


def test_a_file_that_nobody_reads_is_told(tmp_path: Path) -> None:
    write(tmp_path, "configs/stages/2b-26.yaml", GOOD.format(name="2b-26", percent=26))
    write(tmp_path, "configs/stages/2b-25.yml", GOOD.format(name="2b-25", percent=26))
    found = looked(tmp_path).problems
    assert [one.what for one in found] == ["is no stage's file: nobody reads it"] * 2
    assert found[0].do == "call it 2b-25.yaml, or take it away"


def test_files_that_are_named_are_looked_at_alone_each_by_what_it_is(tmp_path: Path) -> None:
    write(tmp_path, "migctl.yaml", "mode: both\n")
    stage = write(tmp_path, "x/2b-25.yaml", GOOD.format(name="2b-25", percent=25))
    segments = write(tmp_path, "x/who", "segments: {all: {users: []}}\n")
    flags = write(tmp_path, "x/f.json", '{"flags": {"a b": {}}}')
    (tmp_path / "flags").mkdir()
    odd = write(tmp_path, "flags/odd.yaml", "flgs: {}\n")
    settings = write(tmp_path, "x/s.yaml", "lsten: 3\n")
    found = looked(tmp_path, stage, segments, flags, odd, settings)
    assert list(found.files.values()) == ["stage", "segments", "flags", "flags", "settings"]
    assert told(found) == [
        ("who", 1, "segments.all"), ("f.json", 1, "flags.a b"), ("odd.yaml", 1, "flgs"), ("odd.yaml", 1, ""),
        ("s.yaml", 1, "lsten"),
    ]  # fmt: skip


def test_what_is_read_all_the_same_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, "migctl.yaml", "fallback: {hold_seconds: 3}\n")
    found = looked(tmp_path)
    assert not found.problems
    assert "fallback.hold_seconds is called hold_s now" in found.warnings[0]
    write(tmp_path, "migctl.yaml", "fallback: {hold_seconds: 3, hold_s: 3}\nx: 1\n")
    assert told(looked(tmp_path)) == [("migctl.yaml", 1, "fallback.hold_seconds"), ("migctl.yaml", 2, "x")]


@pytest.mark.parametrize("value", ["125", "-1", ".nan", ".inf", "true", '"25"', "12.345", "null", "[1]"])
def test_a_share_is_a_number_of_percent(tmp_path: Path, value: str) -> None:
    write(tmp_path, "configs/stages/2b-25.yaml", GOOD.format(name="2b-25", percent=value))
    assert told(looked(tmp_path)) == [("2b-25.yaml", 3, "open.percent")]
