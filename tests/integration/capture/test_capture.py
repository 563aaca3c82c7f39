"""`migctl capture` as a process, with real signals, against a real gateway; and what its files say afterwards."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from migctl import clock
from migctl.events import parse_time
from migctl.stack.launcher import any_free_port
from tests.kit.capturing import Running, capturing
from tests.kit.conditions import until
from tests.kit.served import Served, event, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, heartbeat_s=0.5) as it:
        yield it


async def publish(served: Served, count: int) -> list[str]:
    batch = [event() for _ in range(count)]
    await served.journal.append(batch)
    return [one.id for one in batch]


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
async def test_capture_that_is_told_to_stop_has_everything_committed_before(
    served: Served, tmp_path: Path, sig: signal.Signals
) -> None:
    before = await publish(served, 3)
    async with capturing(tmp_path / "out", "--url", served.ws_url, "--output", "json") as capture:
        ready = await capture.said("ready")
        assert ready == f"ready: websocket from {served.journal.epoch}:3\n"
        sent = [one for _ in range(20) for one in await publish(served, 25)]
        capture.process.send_signal(sig)
        code, out, _ = await capture.ended()
        assert code == 0
        summary = capture.summary
    assert json.loads(out) == summary
    assert [line["id"] for line in capture.lines] == sent
    assert not set(before) & {line["id"] for line in capture.lines}
    epoch = served.journal.epoch
    assert (summary["from"], summary["to"]) == ({"epoch": epoch, "seq": 3}, {"epoch": epoch, "seq": 503})
    assert (summary["schema"], summary["received"], summary["complete"]) == ("migctl.capture/1", 500, True)
    assert summary["reason"] == "stopped"
    times = [parse_time(summary[key]) for key in ("started_at", "ready_at", "stop_requested_at", "ended_at")]
    assert times == sorted(times)


async def test_lines_are_there_while_it_runs_and_survive_kill_9(served: Served, tmp_path: Path) -> None:
    async with capturing(tmp_path / "out", "--url", served.ws_url) as capture:
        await capture.said("ready")
        sent = await publish(served, 10)
        await until(lambda: len(capture.lines) == 10)
        capture.process.kill()
        await capture.ended()
    assert [line["id"] for line in capture.lines] == sent
    assert not capture.summary_path.exists()


async def test_count_ends_it_with_exactly_so_many_lines(served: Served, tmp_path: Path) -> None:
    async with capturing(tmp_path / "out", "--url", served.ws_url, "--count", "7") as capture:
        await capture.said("ready")
        sent = await publish(served, 20)
        code, _, _ = await capture.ended()
    assert code == 0
    assert [line["id"] for line in capture.lines] == sent[:7]
    assert (capture.summary["complete"], capture.summary["reason"]) == (True, "count")
    # A report looks at what was committed up to here, and must not miss the eighth.
    assert capture.summary["stop_requested_at"] == capture.lines[-1]["committed_at"]


async def test_until_idle_ends_it_after_the_last_event(served: Served, tmp_path: Path) -> None:
    async with capturing(tmp_path / "out", "--url", served.ws_url, "--until-idle", "0.4") as capture:
        await capture.said("ready")
        sent = await publish(served, 5)
        code, _, _ = await capture.ended()
    assert code == 0
    assert [line["id"] for line in capture.lines] == sent
    assert (capture.summary["complete"], capture.summary["reason"]) == (True, "idle")


@contextlib.asynccontextmanager
async def capturing_from_a_gateway_that_goes(folder: Path, *options: str) -> AsyncIterator[Running]:
    """A capture that has one event, and whose gateway is gone since."""
    async with contextlib.AsyncExitStack() as gateway:
        served = await gateway.enter_async_context(serving(folder))
        async with capturing(folder / "out", "--url", served.ws_url, *options) as capture:
            await capture.said("ready")
            await publish(served, 1)
            await until(lambda: len(capture.lines) == 1)
            await gateway.aclose()
            yield capture


async def test_capture_that_can_not_ask_at_the_end_says_that_it_is_not_complete(tmp_path: Path) -> None:
    async with capturing_from_a_gateway_that_goes(tmp_path, "--drain", "0.5") as capture:
        capture.process.send_signal(signal.SIGTERM)
        code, _, err = await capture.ended()
    assert code == 1
    assert "NOT complete" in err
    assert capture.summary["complete"] is False
    assert "0.5 s" in capture.summary["reason"]


async def test_second_signal_ends_the_drain_at_once(tmp_path: Path) -> None:
    async with capturing_from_a_gateway_that_goes(tmp_path, "--drain", "300") as capture:
        began = clock.mono()
        capture.process.send_signal(signal.SIGINT)
        await capture.said("stopping")
        capture.process.send_signal(signal.SIGINT)
        code, _, _ = await capture.ended()
    assert code == 1
    assert clock.mono() - began < 300
    assert capture.summary["complete"] is False


async def test_capture_in_the_way_is_refused_and_kept(served: Served, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "websocket.ndjson").write_text("precious\n")
    async with capturing(out, "--url", served.ws_url) as capture:
        code, _, err = await capture.ended()
    assert code == 4
    assert "--force" in err
    assert (out / "websocket.ndjson").read_text() == "precious\n"
    async with capturing(out, "--url", served.ws_url, "--force", "--count", "1") as capture:
        await capture.said("ready")
        await publish(served, 1)
        code, _, _ = await capture.ended()
    assert code == 0
    assert len(capture.lines) == 1


async def test_no_server_is_exit_3_with_its_address_and_leaves_no_file(tmp_path: Path) -> None:
    address = f"ws://127.0.0.1:{any_free_port()}/ws"
    async with capturing(tmp_path / "out", "--url", address, "--wait", "0.3") as capture:
        code, out, err = await capture.ended()
    assert (code, out) == (3, "")
    assert address in err
    assert list((tmp_path / "out").iterdir()) == []


async def test_signal_before_anything_was_captured_is_an_interruption(tmp_path: Path) -> None:
    async with capturing(
        tmp_path / "out", "--url", f"ws://127.0.0.1:{any_free_port()}/ws", "--log-level", "warning"
    ) as capture:
        await capture.said("lost")
        capture.process.send_signal(signal.SIGINT)
        code, _, err = await capture.ended()
    assert code == 130
    assert "nothing was captured" in err


async def test_full_disk_is_exit_3_names_the_file_and_leaves_whole_lines(
    served: Served, tmp_path: Path
) -> None:
    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    async with capturing(tmp_path / "out", "--url", served.ws_url, preexec_fn=small_disk) as capture:
        await capture.said("ready")
        await publish(served, 50)
        code, _, err = await capture.ended()
    assert code == 3
    assert "websocket.ndjson" in err
    lines = capture.lines
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert capture.path.read_bytes().endswith(b"}\n") or not lines
    assert capture.summary["complete"] is False
    assert capture.summary["received"] == len(lines)
