"""Who feeds and who reads, asked from outside: an answer, a refusal, and a serve that knows no such thing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from migctl.errors import MigctlError, TokenRefused
from migctl.serve_client import NotUnderstood
from migctl.serve_client.attached import sources_of, subscribers_of
from migctl.status.feeding import SourcesStatus
from tests.unit.serve_client.test_control import answering


async def test_it_is_read_as_it_was_answered(tmp_path: Path) -> None:
    said = SourcesStatus(at=datetime(2026, 1, 1, tzinfo=UTC), sources=[])
    async with answering(tmp_path, msgspec.json.encode(said)):
        assert await sources_of(tmp_path, None, None) == said
        with pytest.raises(NotUnderstood):
            await subscribers_of(tmp_path, None, None)


@pytest.mark.parametrize(
    ("status", "kind", "words"), [(401, TokenRefused, "purpose admin"), (404, NotUnderstood, "mode realtime")]
)
async def test_a_refusal_says_what_is_lacking(
    tmp_path: Path, status: int, kind: type[MigctlError], words: str
) -> None:
    async with answering(tmp_path, b"{}", status):
        with pytest.raises(kind) as raised:
            await subscribers_of(tmp_path, None, None)
    assert words in str(raised.value)
