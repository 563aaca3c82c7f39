"""Which drills there are, which settings they run with, and what is kept of those that were run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from migctl.clock import now
from migctl.config import Settings
from migctl.drills import catalog, history
from migctl.drills.functions.checking import read
from migctl.drills.result import Result
from migctl.drills.settings import drilled
from migctl.errors import Usage


def result(drill_id: str) -> Result:
    return Result(
        id=drill_id, drill="failover", title="t", verdict="pass", reason="", started_at=now(), finished_at=now(), seconds=1.0,
        config="", target="embedded stack", without=[], rate_per_s=1.0, published=1, lost=0, duplicates=0, out_of_order=0,
        lost_ids=[], duplicate_ids=[], time_to_detect_ms=None, time_to_fallback_ms=None, time_to_recover_ms=None,
        longest_silence_ms=None, availability_percent=None, availability_without_grace_percent=None, objectives=[],
        steady_states=[], faults=[], subscribers=[], store=None, availability={}, timeline=[], series=[], states=[],
    )  # fmt: skip


def test_every_drill_that_ships_can_be_read() -> None:
    assert "failover" in catalog.names()
    for name in catalog.names():
        assert read(catalog.path_of(name)).drill.title


def test_a_file_of_ones_own_wins_and_is_listed(tmp_path: Path) -> None:
    own = tmp_path / "configs" / "drills"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("title: x")
    (own / "failover.yaml").write_text("title: x")
    assert "mine" in catalog.names(tmp_path)
    assert catalog.path_of("failover", tmp_path) == own / "failover.yaml"
    assert catalog.path_of("configs/drills/mine.yaml", tmp_path) == own / "mine.yaml"


def test_an_unknown_name_and_a_file_that_is_not_there_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="no drill") as caught:
        catalog.path_of("failver", tmp_path)
    assert caught.value.do == "did you mean failover?"
    with pytest.raises(Usage, match="no such file"):
        catalog.path_of("x.yaml", tmp_path)


def test_documents_are_kept_and_listed_by_time(tmp_path: Path) -> None:
    for name in ("b", "a"):
        history.keep(tmp_path, result(name))
    assert [one.id for one in history.history(tmp_path)] == ["b", "a"]
    assert "Nothing was measured over time." in history.page_path(tmp_path, "a").read_text()
    (history.folder_of(tmp_path) / "c.json").write_text("{}")
    with pytest.raises(Usage, match=r"c\.json"):
        history.history(tmp_path)


def test_a_drill_takes_over_how_serve_delivers_and_nothing_that_reaches_out() -> None:
    settings = Settings.model_validate(
        {
            "fallback": {"hold_s": 3},
            "realtime": {"token_command": "/bin/mint", "joins_per_s": 7},
            "legacy": {"upstream": "ws://127.0.0.1:1/ws"},
            "alerts": {"webhook": "https://hooks.example.com/x"},
        }
    )
    text = drilled(settings, {"fallback": {"max_lag_s": 2}})
    found = yaml.safe_load(text)
    assert found["fallback"]["hold_s"] == 3
    assert found["fallback"]["max_lag_s"] == 2
    assert found["realtime"]["joins_per_s"] == 7
    assert "token_command" not in found["realtime"]
    assert not {"legacy", "alerts", "supabase", "journal", "source"} & found.keys()
    Settings.model_validate(found)
