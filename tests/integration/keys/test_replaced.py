"""Keys replaced under a running `serve`, by the files that the environment names: nothing is lost, and nothing is restarted."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from migctl import clock
from migctl.stack.keys import Keys
from migctl.stack.standin_process import StandinProcess
from tests.integration.keys.test_today import get
from tests.kit.conditions import until
from tests.kit.relaying import Tables
from tests.kit.serve_process import ServeProcess, serving_process
from tests.kit.targets import standing, target_of


@dataclass
class Site:
    """A project whose keys are in files."""

    process: StandinProcess
    database: str
    folder: Path
    keys: Keys

    def write(self, keys: Keys) -> dict[str, str]:
        """The files, each written whole; and the environment that names them."""
        target = target_of(self.process, self.database, keys)
        found = {"SUPABASE_URL": target.supabase_url, "DATABASE_URL": self.database}
        for name, value in target.variables().items():
            if name not in found:
                (self.folder / f"{name}.new").write_text(value + "\n")
                (self.folder / f"{name}.new").replace(self.folder / name)
                found[f"{name}_FILE"] = str(self.folder / name)
        return found

    def accept(self, keys: Keys) -> None:
        """From now on the project knows these, and no others."""
        self.process.stop()
        self.process.credentials = keys.credentials
        self.process.start()


@pytest.fixture
def site(migrated: str, tmp_path: Path) -> Iterator[Site]:
    keys = Keys.fresh(clock.now(), "new")
    (tmp_path / "keys").mkdir()
    with standing(tmp_path / "standin", migrated, keys) as process:
        yield Site(process, migrated, tmp_path / "keys", keys)


def all_is_well(serve: ServeProcess) -> bool:
    status = get(serve, "/api/status")
    canary = status["transports"]["realtime"]["canary"]
    return (
        canary["state"] == "listening"
        and status["relay"]["backlog"] == 0
        and {of["state"] for of in status["breakers"].values() if of} == {"closed"}
    )


def said(serve: ServeProcess, words: str) -> int:
    return (serve.folder / "serve.log").read_text().count(words)


async def test_every_key_is_replaced_while_events_flow_and_the_old_ones_may_go(
    site: Site, tmp_path: Path
) -> None:
    environ = site.write(site.keys)
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environ) as serve:
        async with serve.posting():
            await until(lambda: all_is_well(serve))
            before = get(serve, "/api/transport?user=ann")
            other = site.keys.rotated(clock.now())
            site.write(other)
            await until(lambda: get(serve, "/api/transport?user=ann")["anon_key"] != before["anon_key"])
            site.accept(other)
            seen = get(serve, "/api/status")["transports"]["realtime"]["canary"]["seen"]
            await until(
                lambda: (
                    all_is_well(serve)
                    and get(serve, "/api/status")["transports"]["realtime"]["canary"]["seen"] > seen + 2
                )
            )
        head = get(serve, "/api/status")["journal"]["head"]
        await until(lambda: all_is_well(serve))
    assert await Tables(site.database).seqs() == list(range(1, head + 1))


@pytest.mark.slow
async def test_what_can_not_be_used_is_said_and_what_was_there_goes_on(site: Site, tmp_path: Path) -> None:
    environ = site.write(site.keys)
    secret = site.folder / "SUPABASE_SECRET_KEY"
    good = secret.read_text()
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environ) as serve:
        await until(lambda: all_is_well(serve))
        for number, content in enumerate(
            ("", "half of\na key", (site.folder / "SUPABASE_PUBLISHABLE_KEY").read_text()), 1
        ):
            secret.write_text(content)
            serve.send(signal.SIGHUP)
            await until(lambda number=number: said(serve, "keys not replaced") >= number)
        secret.unlink()
        await until(lambda: said(serve, "keys not replaced") >= 4)
        await serve.post(5)
        await until(lambda: all_is_well(serve))
        assert said(serve, good.strip()) == 0
        secret.write_text(good)
        serve.send(signal.SIGHUP)
        await serve.post(5)
        await until(lambda: all_is_well(serve))
    assert len(await Tables(site.database).seqs()) == 10


@pytest.mark.slow
async def test_sighup_without_any_change_leaves_everything_as_it_is(site: Site, tmp_path: Path) -> None:
    with serving_process(tmp_path / "serve", "--mode", "dual", more=site.write(site.keys)) as serve:
        await until(lambda: all_is_well(serve) and said(serve, "channel joined"))
        joined = said(serve, "channel joined")
        serve.send(signal.SIGHUP)
        serve.send(signal.SIGHUP)
        await serve.post(3)
        await until(lambda: all_is_well(serve))
        assert said(serve, "channel joined") == joined
        assert said(serve, "keys replaced") == 0
