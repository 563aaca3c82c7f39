"""Times of foreign streams: what YAML names is read, what it does not name is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migctl.errors import Usage
from migctl.events import BadEvent
from migctl.ingest.times import Times, compile_times

MOMENT = datetime(2025, 10, 23, 4, 11, 1, tzinfo=UTC)


def test_a_zone_by_abbreviation_is_read_with_the_table() -> None:
    times = compile_times([], {"AEDT": "+11:00", "NST": "-03:30"})
    assert times.of_text("2025-10-23 15:11:01 AEDT") == MOMENT
    assert times.of_text("2025-10-23T15:11:01.000 (AEDT)") == MOMENT
    assert times.of_text("2025-10-23 00:41:01 NST") == MOMENT


def test_a_zone_without_a_table_is_refused_and_the_key_is_named() -> None:
    with pytest.raises(BadEvent, match=r"source\.zones: \{AEDT"):
        Times().of_text("2025-10-23 15:11:01 AEDT")


def test_a_named_format_is_read_as_utc_or_in_its_zone() -> None:
    times = compile_times(["%d/%b/%Y:%H:%M:%S %z", "%d.%m.%Y %H:%M:%S"], {})
    assert times.of_text("23/Oct/2025:15:11:01 +1100") == MOMENT
    assert times.of_text("23.10.2025 04:11:01") == MOMENT


def test_a_format_that_ends_in_a_zone_name_uses_the_table() -> None:
    times = compile_times(["%a %b %d %H:%M:%S %Y %Z"], {"AEDT": "+11:00"})
    assert times.of_text("Thu Oct 23 15:11:01 2025 AEDT") == MOMENT
    assert times.of_text("Thu Oct 23 04:11:01 2025 UTC") == MOMENT
    with pytest.raises(BadEvent):
        times.of_text("Thu Oct 23 15:11:01 2025 XYZ")


def test_seconds_and_millis_are_told_apart_by_their_range() -> None:
    times = compile_times(["unix_seconds", "unix_millis"], {})
    assert times.of_number("1761192661") == MOMENT
    assert times.of_number("1761192661000") == MOMENT
    assert times.of_number("1.761192661e9") == MOMENT
    assert times.of_text("1761192661") == MOMENT
    assert times.of_number("81234.56") is None
    assert times.of_number("-1761192661") is None


def test_digits_of_a_number_are_exact_to_the_microsecond() -> None:
    times = compile_times(["unix_seconds"], {})
    assert times.of_number("1761192661.123456") == MOMENT.replace(microsecond=123456)
    assert times.of_number("1761192661.9999999") == MOMENT.replace(microsecond=999999)


def test_a_format_of_digits_alone_is_no_unix_time() -> None:
    times = compile_times(["%Y%m%d%H%M%S"], {})
    assert times.of_text("20251023041101") == MOMENT
    assert times.read(b'"20251023041101"')[0] == MOMENT
    with pytest.raises(BadEvent, match="no wall time"):
        Times().of_text("20251023041101")


def test_a_text_without_a_zone_is_in_the_zone_that_is_set() -> None:
    local = "2025-10-23 15:11:01"
    for zone in ("+11:00", "Australia/Melbourne"):
        times = compile_times(["%d/%m/%Y %H:%M:%S"], {}, zone=zone)
        assert times.of_text(local) == times.of_text("23/10/2025 15:11:01") == MOMENT
        assert times.of_text("2025-10-23T04:11:01Z") == MOMENT
    assert Times().of_text(local) == MOMENT.replace(hour=15)


@pytest.mark.parametrize("zone", ["AEDT", "Nowhere/Town", "+25:00", "../etc/passwd", ""])
def test_a_zone_that_is_none_is_refused_with_its_key(zone: str) -> None:
    with pytest.raises(Usage, match=r"source\.zone"):
        compile_times([], {}, zone=zone)


@pytest.mark.parametrize(
    ("raw", "how"),
    [
        (b"1761192661", "Unix seconds"), (b'"1761192661000"', "Unix milliseconds"),
        (b'"2025-10-23T04:11:01Z"', "text"), (b'"2025-10-23 04:11:01"', "text without a zone, in UTC"),
    ],
)  # fmt: skip
def test_how_a_time_was_read_is_said(raw: bytes, how: str) -> None:
    assert Times().read(raw) == (MOMENT, how)


@pytest.mark.parametrize("bad", ["%H:%M:%S", "iso", "%Y %Q!", "%Z %Y-%m-%d"])
def test_a_format_that_names_no_moment_is_refused(bad: str) -> None:
    with pytest.raises(Usage, match=r"source\.time_formats") as caught:
        compile_times([bad], {})
    assert caught.value.do


@pytest.mark.parametrize("bad", ["11", "+25:00", "+11:60", "AEDT", "660"])
def test_an_offset_that_is_none_is_refused_with_the_zone(bad: str) -> None:
    with pytest.raises(Usage, match=r"source\.zones\.AEDT"):
        compile_times([], {"AEDT": bad})


@pytest.mark.parametrize("bad", ["%Y-%c", "%Y %Y", "%c%x"])
def test_format_that_says_one_thing_twice_is_refused(bad: str) -> None:
    with pytest.raises(Usage) as refused:
        compile_times([bad], {})
    assert repr(bad) in refused.value.what
