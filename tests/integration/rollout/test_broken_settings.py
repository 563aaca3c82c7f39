"""What is wrong with the settings is in nobody's way down, and in everybody's way up."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config import Target
from migctl.flags.record import Record
from tests.integration.rollout.test_commands import WHY, Stage, percent, stack

__all__ = ["stack"]

BROKEN = {
    "a key that is none": "batchng: {}\n",
    "a value of the wrong kind": "listen: [1]\nfallback: { hold_s: soon }\n",
    "a section that is a text": "supabase: yes please\n",
    "no YAML": "mode: [dual\n",
    "not text": "\x00\x01",
}


@pytest.mark.slow
async def test_a_broken_file_stops_no_abort_and_no_lower_set_and_every_raise(
    target: Target, record: Record, tmp_path: Path, stack: object
) -> None:
    from contextlib import ExitStack

    assert isinstance(stack, ExitStack)
    stage = Stage(tmp_path, target)
    serve = stage.start(stack, 0)
    stage.call("set", "50", *WHY)
    settings = stage.desk / "migctl.yaml"
    for share, (what, text) in zip((40, 30, 20, 15, 10), BROKEN.items(), strict=True):
        settings.write_text(text)
        assert "migctl.yaml" in stage.call("set", "75", *WHY, code=2), what
        done = stage.call("set", str(share), "--reason", what)
        assert (len(done["processes"]["confirmed"]), percent(serve)) == (1, share)
    done = stage.call("abort")
    assert (len(done["processes"]["confirmed"]), percent(serve)) == (1, 0)
    assert "migctl.yaml" in stage.call("resume", *WHY, code=2)
    settings.write_text("")
    assert stage.call("set", "25", *WHY, "--lift", done["brake"]["id"])["state"]["stage"] == "2b-25"
