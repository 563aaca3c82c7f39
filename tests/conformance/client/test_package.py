"""The npm package: it installs into an empty folder, and what it holds receives events."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from migctl import __version__
from tests.kit.entries import event
from tests.kit.following import following
from tests.kit.node import node, npm
from tests.kit.served import serving

PACK = Path(__file__).parents[3] / ".ci" / "pack-client"


def packed(folder: Path) -> Path:
    done = subprocess.run([sys.executable, PACK, folder], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def test_same_sources_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert packed(tmp_path).read_bytes() == packed(tmp_path / "again").read_bytes()


async def test_package_installs_into_an_empty_folder_and_receives(tmp_path: Path) -> None:
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    done = npm("install", "--offline", str(packed(tmp_path)), cwd=folder)
    assert done.returncode == 0, done.stderr
    installed = json.loads((folder / "node_modules" / "migctl-client" / "package.json").read_text())
    assert (installed["version"], installed.get("dependencies")) == (__version__, None)
    (folder / "entry.mjs").write_text("export * from 'migctl-client';\n")
    (folder / "names.mjs").write_text(
        "console.log(Object.keys(await import('migctl-client')).sort().join());\n"
    )
    names = node("names.mjs", cwd=folder)
    assert names.stdout.strip() == "Discontinuity,MigctlError,Release,Subscriber", names.stderr
    async with (
        serving(tmp_path) as served,
        following(served.url, entry=(folder / "entry.mjs").as_uri()) as followed,
    ):
        await served.journal.append([event()])
        await followed.count(1)
