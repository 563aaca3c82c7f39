"""Drills that were run in this state folder: their documents, and the line that a rollout's gates go by.

`STATE_DIR/drills/ID.json` is the whole document, `STATE_DIR/drills/ID.html` its page; `STATE_DIR/drills.ndjson` has a line each
(`rollout.drills`). A game day's document and page are beside those of its drills: its id begins with a word, theirs with a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from migctl.config.files import make_private_folder, make_state_folder, read_own, write_whole
from migctl.drills import gameday_page, page
from migctl.drills.gameday import PREFIX, GameDay
from migctl.drills.objectives import Verdict
from migctl.drills.result import Result
from migctl.errors import Usage
from migctl.events.jsontext import read_as
from migctl.events.times import Moment as Time

T = TypeVar("T")


def folder_of(state: Path) -> Path:
    return state / "drills"


def page_path(state: Path, drill_id: str) -> Path:
    """The page of a drill, beside its document."""
    return folder_of(state) / f"{drill_id}.html"


def keep(state: Path, result: Result) -> Path:
    """Write the document and its page; the path of the document. Raises OSError."""
    return _keep(state, result.id, result, page.page_of(result))


def keep_day(state: Path, day: GameDay) -> Path:
    """The same of a game day."""
    return _keep(state, day.id, day, gameday_page.page_of(day))


def read(path: Path, of: type[T]) -> T:
    """Raises Usage where it is no such document."""
    try:
        return read_as(read_own(path), of)
    except FileNotFoundError:
        raise Usage(
            f"{path}: there is no such file", do="`migctl drill history` lists those there are"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Usage(f"{path}: this is no drill's document: {error}", do="take it away") from None


def history(state: Path) -> list[Result]:
    """All that are kept, the oldest first. Raises Usage."""
    found = [read(path, Result) for path in _documents(state)]
    return sorted(found, key=lambda one: one.started_at)


def days(state: Path) -> list[GameDay]:
    """Game days, the oldest first. Raises Usage."""
    found = [read(path, GameDay) for path in folder_of(state).glob(f"{PREFIX}*.json")]
    return sorted(found, key=lambda one: one.started_at)


class _Length(msgspec.Struct, frozen=True):
    """What of a drill's document says how long it took."""

    drill: str
    verdict: Verdict
    started_at: Time
    seconds: float
    without: list[str]


def lengths(state: Path) -> dict[str, float]:
    """By drill: how many seconds it took when it was last run to its end. Raises Usage."""
    found = sorted((read(path, _Length) for path in _documents(state)), key=lambda one: one.started_at)
    return {one.drill: one.seconds for one in found if one.verdict in ("pass", "fail") and not one.without}


def _documents(state: Path) -> list[Path]:
    return [path for path in folder_of(state).glob("*.json") if not path.name.startswith(PREFIX)]


def _keep(state: Path, name: str, document: object, shown: str) -> Path:
    make_state_folder(state)
    make_private_folder(folder_of(state))
    path = folder_of(state) / f"{name}.json"
    write_whole(path, msgspec.json.encode(document))
    write_whole(page_path(state, name), shown.encode())
    return path
