"""The client's types, which its comments say, hold: TypeScript of npm checks them, as strictly as it can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from migctl.dashboard.bundling import stripped
from tests.kit.node import CLIENT, node, packages

HERE = Path(__file__).parent
TSC = Path("node_modules") / "typescript" / "bin" / "tsc"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, with TypeScript of the lock file beside it."""
    folder = tmp_path_factory.mktemp("types")
    for name in ("package.json", "package-lock.json", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    packages(folder, "TypeScript")
    shutil.copy(CLIENT.parent / "client.js", folder)
    shutil.copytree(CLIENT, folder / "client")
    return folder


@pytest.mark.slow
def test_client_is_as_its_types_say(folder: Path) -> None:
    done = node(TSC, "-p", ".", cwd=folder)
    assert done.returncode == 0, done.stdout


def test_what_is_served_is_the_code_of_the_sources_without_their_comments(folder: Path) -> None:
    """TypeScript drops comments too, and knows the language."""
    pairs = []
    for file in (CLIENT.parent / "client.js", *CLIENT.rglob("*.js")):
        text = file.read_text()
        pairs.append([str(file), text, stripped(text)])
    (folder / "pairs.json").write_text(json.dumps(pairs))
    (folder / "same.cjs").write_text(
        "const ts = require('typescript'), pairs = require('./pairs.json');\n"
        "const compilerOptions = { removeComments: true, target: 'esnext', module: 'esnext' };\n"
        "const code = (text) => ts.transpileModule(text, { compilerOptions }).outputText;\n"
        "console.log(JSON.stringify(pairs.filter(([, one, other]) => code(one) !== code(other)).map(([name]) => name)));\n"
    )
    done = node("same.cjs", cwd=folder)
    assert json.loads(done.stdout) == [], done.stderr
    assert len(pairs) > 15


def test_application_that_misuses_it_is_told(folder: Path) -> None:
    (folder / "client.js").write_text(
        (CLIENT.parent / "client.js").read_text()
        + "import { Subscriber as S } from './client/subscriber.js';\n"
        "new S('http://x', { waitS: 'soon' });\n"
        "new S('http://x').position?.seq.toUpperCase();\n"
    )
    done = node(TSC, "-p", ".", cwd=folder)
    assert "Type 'string' is not assignable to type 'number'" in done.stdout
    assert "Property 'toUpperCase' does not exist on type 'number'" in done.stdout
    assert done.stdout.count("error TS") == 2
