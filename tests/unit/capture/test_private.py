"""What subscribers received is for the owner of the capture alone."""

from __future__ import annotations

import stat
from pathlib import Path

from migctl.validate.capture_file import CaptureFile


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_capture_and_summary_are_private_and_so_is_a_folder_that_is_made_for_them(tmp_path: Path) -> None:
    folder = tmp_path / "captures" / "today"
    file = CaptureFile(folder, "websocket")
    file.check(force=False)
    file.open()
    file.finish({"lines": 0})
    assert {mode(file.path), mode(file.summary_path)} == {0o600}
    assert mode(folder) == mode(folder.parent) == 0o700


def test_folder_that_is_there_stays_as_its_owner_wants_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    CaptureFile(tmp_path, "realtime").check(force=False)
    assert mode(tmp_path) == 0o755
