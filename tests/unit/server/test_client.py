"""The client in JavaScript, as `serve` hands it out: whole, small, and with the names that the other rooms have."""

from __future__ import annotations

import gzip
import re

import pytest

from migctl.dashboard.bundling import NotOurForm, bundle, stripped
from migctl.server.routes.client import module, takes_gzip
from migctl.target import schema
from tests.kit.node import CLIENT, node


def bundled(**texts: str) -> str:
    files = {f"{name}.js" if name == "client" else f"client/{name}.js": text for name, text in texts.items()}
    return bundle(files.__getitem__)


def test_module_has_every_source_and_imports_nothing() -> None:
    text = module().text.decode()
    for file in CLIENT.rglob("*.js"):
        for name in re.findall(
            r"^export (?:class|function|async function|const) (\w+)", file.read_text(), re.MULTILINE
        ):
            assert re.search(rf"^(?:class|function|async function|const) {name}\b", text, re.MULTILINE), name
    assert not re.search(r"^import\b|\bimport\(", text, re.MULTILINE)
    assert text.rstrip().endswith("export { Subscriber, Discontinuity, Release, MigctlError };")


def test_module_stays_small_for_who_loads_it() -> None:
    assert len(module().packed) < 24_000
    assert gzip.decompress(module().packed) == module().text


def test_client_names_the_tables_as_the_target_does() -> None:
    named = dict(re.findall(r"^const (\w+) = '(\w[\w,]+)';$", module().text.decode(), re.MULTILINE))
    tables = {"EVENTS": schema.EVENTS, "TOMBSTONES": schema.TOMBSTONES, "HEADS": schema.HEADS}
    pages = {"ROW": schema.columns(schema.PAGE_ROW), "TOMBSTONE": schema.columns(schema.PAGE_TOMBSTONE)}
    assert named.items() >= {**tables, **pages}.items()
    assert set(named["HEAD"].split(",")) <= set(schema.HEAD)


def test_each_source_runs_once_after_what_it_imports_and_its_names_are_its_own() -> None:
    text = bundled(
        client="/** The client. */\nexport { A, B } from './client/a.js';\nexport { C } from './client/deep/c.js';\n",
        a="import { C, one } from './deep/c.js';\nconst mine = one();\nexport class A {}\nexport const B = [mine, C];\n",
        **{
            "deep/c": "const mine = 1;\nlet ran = 0;\nexport const one = () => mine + ran++;\nexport const C = 'c';\n"
        },
    )
    done = node(
        "--input-type=module", "-e", text.replace("export {", "console.log(JSON.stringify([B, C])); export {")
    )
    assert done.stdout.strip() == '[[1,"c"],"c"]', done.stderr


@pytest.mark.parametrize(
    "source",
    ["export default 1;\n", "import * as a from './a.js';\n", "import './a.js';\n", "export { a } from './a.js';\nconst a = 1;\n",
     "export let a = 1;\n", "import { a as b } from './a.js';\n"],
)  # fmt: skip
def test_what_is_written_in_another_way_is_refused(source: str) -> None:
    with pytest.raises((NotOurForm, KeyError)):
        bundled(client="export { a } from './client/b.js';\n", b=source)


def test_sources_that_import_each_other_are_refused() -> None:
    with pytest.raises(NotOurForm, match="imports itself"):
        bundled(
            client="export { a } from './client/a.js';\n",
            a="import { b } from './b.js';\nexport const a = () => b;\n",
            b="import { a } from './a.js';\nexport const b = () => a;\n",
        )


def test_comments_go_and_what_only_resembles_one_stays() -> None:
    source = (
        "/** Of a file. */\n\n/**\n * @typedef {{a: number}} A * and ** more\n */\nconst url = 'http://x'; // at the end\n"
        "  // a line\nconst cast = /** @type {any} */ (url)?.a;\nconst by = 4 / 2 / 1;\nconst found = /^https?:\\/\\//.test(url);\n"
    )
    assert stripped(source) == (
        "const url = 'http://x'; // at the end\nconst cast = (url)?.a;\n"
        "const by = 4 / 2 / 1;\nconst found = /^https?:\\/\\//.test(url);\n"
    )


@pytest.mark.parametrize(
    ("accepts", "takes"),
    [("gzip, deflate, br", True), ("br;q=1.0, gzip;q=0.8", True), ("*", True), ("GZIP", True), ("", False), ("br", False),
     ("gzip;q=0", False), ("gzip; q=0.0", False), ("identity", False), ("gzip;q=0.05", True)],
)  # fmt: skip
def test_gzip_is_for_who_takes_it(accepts: str, takes: bool) -> None:
    assert takes_gzip(accepts) == takes
