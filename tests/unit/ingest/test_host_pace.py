"""The host source: its pace, and that its numbers are this machine's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.errors import Usage
from migctl.ingest.gauges import Gauges
from migctl.ingest.host import RATES, Beat, beats
from migctl.ingest.source import open_source


def test_the_default_rates_make_all_three_classes_and_a_laptop_bears_them() -> None:
    assert any(rate > 100 for rate in RATES.values())
    assert any(5 < rate <= 100 for rate in RATES.values())
    assert any(rate <= 5 for rate in RATES.values())
    assert 150 <= sum(RATES.values()) <= 200


@pytest.mark.parametrize("rate", [None, 10.0, 177.0, 2000.0])
def test_a_minute_on_time_has_the_wanted_number_of_events(rate: float | None) -> None:
    counted: Counter[str] = Counter()
    for beat in beats(1000.0, rate):
        while beat.due < 1060.0:
            counted[beat.event_type] += 1
            assert beat.advance(beat.due) == 0
    assert abs(sum(counted.values()) - 60 * (rate or sum(RATES.values()))) <= len(RATES)


@given(st.floats(0.001, 5), st.lists(st.floats(0, 20), max_size=30))
def test_deadlines_never_drift_and_a_late_beat_does_not_burst(period: float, lateness: list[float]) -> None:
    beat = Beat("x", period, 100.0)
    count = 0
    for late in lateness:
        at = beat.due + late
        count += 1 + beat.advance(at)
        assert beat.due > at - 1e-6  # the next one lies ahead: never two for one moment
        assert beat.due - at <= period + 1e-6
        assert beat.due == pytest.approx(100.0 + count * period, rel=1e-6)


def test_what_is_measured_is_what_psutil_says(tmp_path: Path) -> None:
    gauges = Gauges(tmp_path)
    memory = gauges.read("memory_metrics")
    assert memory["total_bytes"] == psutil.virtual_memory().total
    assert gauges.read("cpu_metrics")["cpus"] == psutil.cpu_count()
    assert gauges.read("session_metrics")["processes"] > 0
    assert gauges.read("disk_metrics")["total_bytes"] == psutil.disk_usage(str(tmp_path)).total
    cache = gauges.read("cache_metrics")
    assert 0 < cache["cached_bytes"] <= psutil.virtual_memory().total
    first, second = gauges.read("network_metrics"), gauges.read("network_metrics")
    assert second["received_bytes"] >= first["received_bytes"]


def test_a_health_check_shows_what_it_measured_beside_its_verdict(tmp_path: Path) -> None:
    gauges = Gauges(tmp_path)
    assert "journal_append_ms" not in gauges.read("health_check")["checks"]
    gauges.append_ms = 5000.0
    health = gauges.read("health_check")
    assert health["checks"]["journal_append_ms"] == {"value": 5000.0, "ok": False}
    assert health["ok"] is False


def test_a_rate_is_only_for_the_host_and_above_zero(tmp_path: Path) -> None:
    for spec, rate in (("host", 0.0), ("-", 5.0), ("ws://old/ws", 5.0)):
        with pytest.raises(Usage, match="--rate"):
            open_source(spec, state_dir=tmp_path, rate=rate)


@pytest.mark.parametrize("spec", ["http://old/ws", "ftp://x", "ws://", "ws://old:port/ws"])
def test_an_address_that_is_no_source_is_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(Usage) as caught:
        open_source(spec, state_dir=tmp_path)
    assert "ws://" in caught.value.do
