from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from migctl.config import Settings
from migctl.errors import Usage
from migctl.experiments import lines
from migctl.runtime.experiments import DAYS, Found, make_report
from tests.unit.experiments.test_report import line

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 3)


async def made(
    folder: Path, flag: str = "transport", since: date | None = FIRST, until: date | None = LAST
) -> Found:
    settings = Settings(mode="websocket", state_dir=str(folder))
    return await make_report(settings, flag, since, until, lambda _: None)


async def test_the_days_that_are_asked_for_are_counted_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / lines.FOLDER
    folder.mkdir()
    for number in range(-1, 5):
        of = lines.encode(line(number, "websocket"))
        lines.day_file(folder, FIRST + timedelta(days=number)).write_bytes(of)
    found = await made(tmp_path)
    assert found.report.users.variants == {"websocket": 3}
    assert (found.report.verdict, found.away) == ("inconclusive", None)


async def test_without_days_it_is_the_last_fortnight(tmp_path: Path) -> None:
    found = (await made(tmp_path, since=None, until=None)).report
    assert (found.until - found.since).days == DAYS - 1
    with pytest.raises(Usage, match="is after"):
        await made(tmp_path, since=LAST, until=FIRST)


async def test_another_flag_has_users_and_no_latency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Usage, match="menu is no experiment"):
        await made(tmp_path, "menu")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "flags").mkdir(parents=True)
    (tmp_path / "configs" / "flags" / "experiments.yaml").write_text("experiments: {menu: {min_users: 2}}\n")
    (tmp_path / lines.FOLDER).mkdir()
    drawn = msgspec.structs.replace(line(0, "on"), flag="menu")
    of = [msgspec.structs.replace(drawn, user=str(n)) for n in range(2)]
    lines.day_file(tmp_path / lines.FOLDER, FIRST).write_bytes(b"".join(map(lines.encode, of)))
    report = (await made(tmp_path, "menu")).report
    assert (report.users.variants, report.comparisons) == ({"on": 2}, [])
    assert report.sentence == "2 users; nothing else is compared: the variants of menu are no transports."
