"""The npm package: it installs into an empty folder, and what it holds receives events."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from migctl import __version__
from tests.kit import needs
from tests.kit.entries import event
from tests.kit.following import following
from tests.kit.node import node, npm, packages
from tests.kit.served import serving

PACK = Path(__file__).parents[3] / ".ci" / "pack-client"


def packed(folder: Path) -> Path:
    done = subprocess.run([sys.executable, PACK, folder], capture_output=True, text=True, check=False)
    assert "does not take the sources" not in done.stderr, done.stderr
    if done.returncode != 0:
        needs.program(f"TypeScript, which npm can't get: {done.stderr[-500:]}")
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("package"))


@pytest.mark.slow
def test_same_sources_are_the_same_bytes(package: Path, tmp_path: Path) -> None:
    assert packed(tmp_path).read_bytes() == package.read_bytes()


async def test_package_installs_into_an_empty_folder_and_receives(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    done = npm("install", "--offline", str(package), cwd=folder)
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


def test_application_in_typescript_is_told_by_the_package_what_it_gets_wrong(
    package: Path, tmp_path: Path
) -> None:
    here = Path(__file__).parent
    for name in ("package.json", "package-lock.json"):
        shutil.copy(here / name, tmp_path)
    packages(tmp_path, "TypeScript")
    installed = tmp_path / "node_modules" / "migctl-client"
    with tarfile.open(package) as tar:
        for member in tar.getmembers():
            # Not by `extract` and its filter, which Debian's Python has not.
            content = tar.extractfile(member)
            if content is not None:
                path = installed / member.name.removeprefix("package/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    (tmp_path / "board.mts").write_text(
        "import { Discontinuity, MigctlError, Subscriber } from 'migctl-client';\n"
        "const events = new Subscriber('http://x', { keep: 'board', onChange: ({ attached }) => console.log([...attached]) });\n"
        "for await (const item of events) {\n"
        "  if (item instanceof Discontinuity) { const from: number | null = item.lostFrom; console.log(from); }\n"
        "  else { const seq: number = item.seq; console.log(seq, item.transport === 'realtime'); }\n"
        "}\n"
        "for await (const batch of events.batches()) console.log(batch.length);\n"
        "const wrong: string = events.position?.seq ?? 0;\n"
        "new Subscriber('http://x', { waitS: 'soon' });\n"
        "console.log(wrong, MigctlError);\n"
    )
    tsc = Path("node_modules") / "typescript" / "bin" / "tsc"
    strictly = (
        "--strict",
        "--noEmit",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2023,dom,dom.iterable",
    )
    done = node(tsc, "board.mts", *strictly, cwd=tmp_path)
    told = [line.split(": ", 1)[0] for line in done.stdout.splitlines() if "error TS" in line]
    assert told == ["board.mts(8,7)", "board.mts(9,30)"], done.stdout
