from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from migctl.experiments.comparing import ERRORS, compared
from migctl.experiments.document import Experiment
from migctl.experiments.lines import Line
from migctl.experiments.report import Report, reported
from migctl.experiments.users import users_of
from migctl.validate.witness.minute import Figures, Minute

OF = Experiment()
DAY = date(2026, 3, 1)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def minute(number: int, websocket: float, realtime: float, missing: int = 0, verdict: str = "pass") -> Minute:
    figures = {
        name: Figures(
            received=100, missing=missing if name == "realtime" else 0, latency_p50_ms=p99 / 3, latency_p95_ms=p99 / 2,
            latency_p99_ms=p99, latency_n=100,
        )
        for name, p99 in (("websocket", websocket), ("realtime", realtime))
    }  # fmt: skip
    return Minute(
        id=str(number), started_at=BEGIN + timedelta(minutes=number), epoch="e", first_seq=1, last_seq=2,
        expected=100, transports=figures, verdict=verdict,  # type: ignore[arg-type]
    )  # fmt: skip


def day(seed: int, difference: float, missing: Sequence[int] = (0,), minutes: int = 1440) -> list[Minute]:
    """Both troubled by the same, each minute like the one before, and Realtime slower by the difference."""
    of, common, own, found = random.Random(seed), 0.0, 0.0, list[Minute]()
    for number in range(minutes):
        common, own = 0.9 * common + of.gauss(0, 3), 0.7 * own + of.gauss(0, 1)
        base = 40 + common
        found.append(minute(number, base, base + difference + own, missing[number % len(missing)]))
    return found


def line(user: int, assigned: str, **more: object) -> Line:
    options: dict[str, object] = {"reason": "TARGETING_MATCH", "drawn": True, "percent": 25.0, **more}
    return Line(at="", flag="transport", user=str(user), assigned=assigned, n=1, **options)  # type: ignore[arg-type]


def fitting(users: int = 800) -> list[Line | None]:
    return [line(user, "websocket" if user % 4 else "realtime") for user in range(users)]


def report(minutes: Sequence[Minute], lines: Sequence[Line | None], of: Experiment = OF) -> Report:
    users = users_of(lines, "transport", "realtime", of.min_ratio_p)
    return reported(
        "transport", DAY, DAY, of, users=users, variants=("websocket", "realtime"),
        comparisons=compared(minutes, of), minutes=len(minutes), left_out=0,
    )  # fmt: skip


def test_a_real_difference_is_found_and_put_into_a_sentence() -> None:
    made = report(day(1, -4.0), fitting())
    assert made.verdict == "pass"
    assert made.sentence.startswith("Realtime's p99 was ")
    assert " ms lower (95 % CI " in made.sentence
    assert "p < 0.001, paired t-test over " in made.sentence
    assert made.sentence.endswith("; too few errors to compare (0 of 10 blocks with a missing event).")
    p99 = next(one for one in made.comparisons if one.figure == "latency_p99_ms")
    assert p99.interval is not None
    assert p99.interval.low < -4 < p99.interval.high


def test_no_difference_is_said_to_be_none_and_found_one_in_twenty_times() -> None:
    of = Experiment(min_users=1)
    shown = [report(day(seed, 0.0), fitting(40), of).sentence for seed in range(60)]
    none = sum(sentence.startswith("No difference of p99 was shown: ") for sentence in shown)
    assert none >= 50


def test_errors_are_compared_once_there_are_enough() -> None:
    made = report(day(2, 0.0, missing=(0, 3, 1)), fitting())
    errors = next(one for one in made.comparisons if one.figure == ERRORS)
    assert errors.interval is not None
    assert errors.means == {"websocket": 0.0, "realtime": pytest.approx(4 / 3)}
    assert "its error rate was 1.333 points higher" in made.sentence


def test_too_little_is_no_verdict_and_says_how_much_is_missing() -> None:
    made = report(day(3, -4.0, minutes=150), fitting(80))
    assert made.verdict == "inconclusive"
    assert made.sentence == (
        "Too little for a verdict: 60 of 100 users of websocket; 20 of 100 users of realtime; "
        "latency: 10 of 20 blocks of 15 minutes; about 150 more minutes of evidence."
    )
    assert report([], []).verdict == "inconclusive"


def test_users_who_do_not_fit_the_share_fail_and_nothing_is_compared() -> None:
    lines = [line(user, "realtime" if user % 2 else "websocket") for user in range(800)]
    made = report(day(1, -4.0), lines)
    assert (made.verdict, made.users.ratio.verdict) == ("fail", "fail")
    assert all(one.interval is None for one in made.comparisons)
    assert "Of 800 at 25 % 400 have it, and about 200 were to be expected." in made.sentence


def test_minutes_without_evidence_are_in_no_block() -> None:
    minutes = [minute(n, 10, 900, verdict="inconclusive") for n in range(1440)]
    assert all(one.blocks == 0 for one in compared(minutes, OF))


def test_a_block_with_less_than_half_of_its_minutes_is_none() -> None:
    minutes = [one for one in day(1, 0.0, minutes=60) if one.started_at.minute % 15 < 7]
    assert compared(minutes, OF)[0].blocks == 0
    minutes = [one for one in day(1, 0.0, minutes=60) if one.started_at.minute % 15 < 8]
    assert compared(minutes, OF)[0].blocks == 4


def test_who_was_not_drawn_or_crossed_is_counted_apart_with_the_reason() -> None:
    lines = [
        *fitting(40),
        None,
        line(100, "websocket", reason="STALE", drawn=False),
        line(101, "websocket", reason="BRAKED", drawn=False),
        line(102, "realtime", named=True, drawn=False),
        line(103, "websocket", percent=0.0, drawn=False),
        line(1, "realtime", percent=50.0),  # raised meanwhile
        line(0, "realtime", transport="websocket"),
        line(2, "websocket", reason="STALE", drawn=False),  # also drawn, which counts
        of_another_flag(),
    ]
    users = users_of(lines, "transport", "realtime", 0.001)
    assert users.variants == {"realtime": 10, "websocket": 29}
    assert users.excluded == {
        "BRAKED": 1, "STALE": 1, "a share of nobody or everybody": 1, "assigned by name": 1, "crossed": 1
    }  # fmt: skip
    assert users.elsewhere == {"realtime": 1}
    assert users.unreadable == 1
    (part,) = users.ratio.parts
    assert (part.users, part.opened, part.expected, users.ratio.verdict) == (40, 10, 10.0, "pass")


def of_another_flag() -> Line:
    return Line(at="", flag="menu", user="7", assigned="on", reason="TARGETING_MATCH", n=1, drawn=True)
