"""The audit of dependencies: what counts is told with name, version, advisory and fixed version, and half an answer is none."""

from __future__ import annotations

import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOP = Path(__file__).parents[3]
FILE = TOP / ".ci" / "audit.py"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


audit = _loaded()
JINJA = audit.Package("PyPI", "Jinja2", "3.1.2")
UPLOT = audit.Package("npm", "uplot", "1.6.32")
TODAY = date(2026, 6, 1)
# As api.osv.dev answers.
GITHUB: dict[str, Any] = {
    "id": "GHSA-h5c8-rqwp-cp95",
    "summary": "Jinja vulnerable to HTML attribute injection when passing user input as keys to xmlattr filter",
    "aliases": ["BIT-jinja2-2024-22195", "CVE-2024-22195"],
    "modified": "2026-02-04T02:53:40.414325Z",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI", "purl": "pkg:pypi/jinja2"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]}],
            "versions": ["3.1.1", "3.1.2"],
        }
    ],
    "schema_version": "1.7.3",
}
PYPI: dict[str, Any] = {
    "id": "PYSEC-2024-0001",
    "details": "The same.\nAt length.",
    "aliases": ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"],
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "GIT", "repo": "x", "events": [{"introduced": "0"}, {"fixed": "0123456789abcdef"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]},
            ],
        }
    ],
}
BATCH = {
    "results": [{"vulns": [{"id": GITHUB["id"], "modified": "x"}, {"id": PYPI["id"], "modified": "x"}]}, {}]
}


def _answers(path: str, body: object | None) -> object:
    if path == "/v1/querybatch":
        assert body == {
            "queries": [
                {"package": {"name": "Jinja2", "ecosystem": "PyPI"}, "version": "3.1.2"},
                {"package": {"name": "uplot", "ecosystem": "npm"}, "version": "1.6.32"},
            ]
        }
        return BATCH
    return {"/v1/vulns/" + one["id"]: one for one in (GITHUB, PYPI)}[path]


def test_what_is_found_names_package_version_advisory_and_way_out_once() -> None:
    (found,) = audit.audited([JINJA, UPLOT], _answers)
    counts, remarks = audit.judged([found], [], TODAY)
    (line,) = counts
    for word in ("Jinja2 3.1.2", "GHSA-h5c8-rqwp-cp95", "CVE-2024-22195", "xmlattr", "fixed in 3.1.3"):
        assert word in line
    assert not remarks


def test_what_is_ignored_counts_no_more_until_its_day_and_then_again() -> None:
    found = audit.audited([JINJA, UPLOT], _answers)
    known = audit.Ignored("CVE-2024-22195", "Jinja2", "no xmlattr here", TODAY)
    assert audit.judged(found, [known], TODAY)[0] == []
    assert "no xmlattr here" in audit.judged(found, [known], TODAY)[1][0]
    (again,) = audit.judged(found, [known], date(2026, 6, 2))[0]
    assert "was ignored until 2026-06-01" in again
    # Of another package it says nothing, and then nobody needs it.
    other = audit.Ignored("CVE-2024-22195", "markupsafe", "x", TODAY)
    counts, remarks = audit.judged(found, [other], TODAY)
    assert len(counts) == 1
    assert "nobody finds any more" in remarks[0]


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, {"results": [{}]}, {"results": [{}, None]}, {"results": [{}, {"vulns": [{}]}]},
     {"results": [{}, {"next_page_token": "x"}]},
     {"results": [{}, {}, {}]}, {"results": [{}, {"vulns": [3]}]}],
    ids=["nothing", "a list", "null", "one too few", "null for one", "no id", "more to come", "one too many", "a number"],
)  # fmt: skip
def test_half_an_answer_is_none(answer: object) -> None:
    with pytest.raises(audit.NoAnswer):
        audit.hits([JINJA, UPLOT], answer)


def test_withdrawn_advisory_is_none_and_an_unreadable_one_is_no_answer() -> None:
    assert audit.advisory(JINJA, {**GITHUB, "withdrawn": "2026-01-01T00:00:00Z"}) is None
    with pytest.raises(audit.NoAnswer):
        audit.advisory(JINJA, [])
    assert "no version is fixed" in str(audit.advisory(JINJA, {"id": "X-1", "details": "", "affected": []}))


def test_files_without_a_hash_and_packages_of_no_index_are_told() -> None:
    lock = tomllib.loads("""
        [[package]]
        name = "ours"
        version = "1"
        source = { editable = "." }
        [[package]]
        name = "good"
        version = "1"
        source = { registry = "https://pypi.org/simple" }
        wheels = [{ url = "u", hash = "sha256:00" }]
        [[package]]
        name = "bare"
        version = "2"
        source = { registry = "https://pypi.org/simple" }
        sdist = { url = "u" }
        [[package]]
        name = "git"
        version = "3"
        source = { git = "https://example.org/x" }
    """)
    packages, bare = audit.of_uv(lock)
    assert [one.name for one in packages] == ["good", "bare"]
    assert [line.partition(":")[0] for line in bare] == ["bare 2 (PyPI)", "git"]
    npm, bare = audit.of_npm({"packages": {"": {}, "node_modules/a/node_modules/@b/c": {"version": "1"}}})
    assert npm == [audit.Package("npm", "@b/c", "1")]
    assert len(bare) == 1


@pytest.mark.parametrize(
    "text",
    [
        'id="A"\npackage="b"\nuntil=2026-01-01',
        'id="A"\npackage="b"\nreason="c"',
        'id="A"\npackage="b"\nreason="c"\nuntil="soon"',
    ],
)
def test_what_is_ignored_has_a_reason_and_an_end(text: str) -> None:
    with pytest.raises(ValueError, match=r"audit.toml"):
        audit.ignored_in(tomllib.loads(f"[[ignore]]\n{text}"))
    assert audit.ignored_in(tomllib.loads((TOP / ".ci" / "audit.toml").read_text())) == []


@contextmanager
def _osv(bad: str | None) -> Iterator[str]:
    """Knows one advisory, of the package `bad`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            self._say(
                {
                    "results": [
                        {"vulns": [{"id": "X-1"}]} if one["package"]["name"] == bad else {} for one in asked
                    ]
                }
            )

        def do_GET(self) -> None:
            span = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}
            package = {"name": bad, "ecosystem": "PyPI"}
            self._say({"id": "X-1", "summary": "bad", "affected": [{"package": package, "ranges": [span]}]})

        def _say(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _run(**environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NO_PROXY": "*", **environ}
    return subprocess.run(
        [sys.executable, str(FILE)], capture_output=True, text=True, check=False, env=env, timeout=60
    )


def test_run_fails_with_an_advisory_passes_without_and_is_loud_where_nobody_answers() -> None:
    with _osv("aiohttp") as url:
        done = _run(OSV_URL=url)
    assert done.returncode == 1
    assert "WRONG: aiohttp" in done.stdout
    assert "X-1: bad; fixed in 99.0" in done.stdout
    with _osv(None) as url:
        done = _run(OSV_URL=url)
    assert (done.returncode, "0 advisories" in done.stdout) == (0, True)
    for require, code in (("", 0), ("require", 1)):
        done = _run(OSV_URL="http://127.0.0.1:1", MIGCTL_AUDIT=require)
        assert (done.returncode, "NO ADVISORY WAS LOOKED UP" in done.stdout) == (code, True)
