"""Drills that were run in this state folder: their documents, and the line that a rollout's gates go by.

`STATE_DIR/drills/ID.json` is the whole document, `STATE_DIR/drills/ID.html` its page; `STATE_DIR/drills.ndjson` has a line each
(`rollout.drills`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from migctl.config.files import make_private_folder, make_state_folder, read_own, write_whole
from migctl.drills.page import page_of
from migctl.drills.result import Result
from migctl.errors import Usage


def folder_of(state: Path) -> Path:
    return state / "drills"


def page_path(state: Path, drill_id: str) -> Path:
    """The page of a drill, beside its document."""
    return folder_of(state) / f"{drill_id}.html"


def keep(state: Path, result: Result) -> Path:
    """Write the document and its page; the path of the document. Raises OSError."""
    make_state_folder(state)
    make_private_folder(folder_of(state))
    path = folder_of(state) / f"{result.id}.json"
    write_whole(path, msgspec.json.encode(result))
    write_whole(page_path(state, result.id), page_of(result).encode())
    return path


def read(path: Path) -> Result:
    """Raises Usage where it is no document of a drill."""
    try:
        return msgspec.json.decode(read_own(path), type=Result)
    except FileNotFoundError:
        raise Usage(
            f"{path}: there is no such file", do="`migctl drill history` lists those there are"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Usage(f"{path}: this is no drill's document: {error}", do="take it away") from None


def history(state: Path) -> list[Result]:
    """All that are kept, the oldest first. Raises Usage."""
    found = [read(path) for path in folder_of(state).glob("*.json")]
    return sorted(found, key=lambda one: one.started_at)
