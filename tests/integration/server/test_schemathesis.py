"""Schemathesis, told by the published document, finds nothing in a real `serve`: with tokens and without."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import requests
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import Case, Config, GenerationMode, Response, openapi

from migctl.config import Target
from migctl.server.access.tokens import PURPOSES, Token, mint_token
from migctl.server.routes.tail import TailLine
from tests.kit.managed import MENU, NAME, Managed, managing

CONFIG = Path(__file__).with_name("schemathesis.toml")
# One text with each purpose, so that no route is closed.
EVERYTHING, MASTER = mint_token("admin", "everything")
# Mode websocket has no table and no rollout, and no such routes.
ONLY_DUAL = ("/admin/dead-letters/", "/api/rollout", "/api/drills")
# And an answer that goes on until it is left would be waited for.
NOT_HERE = (*ONLY_DUAL, "/api/tail")
ENTRIES = [Token(purpose, MASTER.name, MASTER.digest).entry for purpose in PURPOSES]

# One that needs a key and one that does not.
SEGMENT = {"users": ["ann"], "ends_with": ["@example.org"]}
FLAGS = {
    "menu": MENU,
    "split": {**MENU, "targeting": {"fractional": [["on", 50], ["off", 50]]}},
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("with_tokens", [False, True])
def test_schemathesis_finds_nothing(standin: Target, tmp_path: Path, with_tokens: bool) -> None:
    more = {"MIGCTL_TOKENS": ",".join(ENTRIES)} if with_tokens else {}
    headers = {"Authorization": f"Bearer {EVERYTHING}"} if with_tokens else {}
    with managing(tmp_path / "serve", standin, more=more) as serve:
        new = {**headers, "If-None-Match": "*"}
        for key, flag in FLAGS.items():
            body = {"target": NAME, "reason": "a test", "flag": flag}
            assert serve.nobody.put(f"/api/flags/{key}", json=body, headers=new).status_code == 201
        body = {"target": NAME, "reason": "a test", "segment": SEGMENT}
        assert serve.nobody.put("/api/segments/staff", json=body, headers=new).status_code == 201

        document = serve.nobody.get("/openapi.json").json()
        documented = sum(
            len(methods) for path, methods in document["paths"].items() if not path.startswith(NOT_HERE)
        )
        done = _run(serve, headers, "--exclude-path-regex", f"^({'|'.join(NOT_HERE)})")
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert serve.nobody.get("/healthz").status_code == 200
        _no_error_of_ours(serve)
    assert _asked(done) >= documented - 1, "it need not ask for the document again"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing_in_what_only_mode_dual_has(standin: Target, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {EVERYTHING}"}
    more = {"MIGCTL_TOKENS": ",".join(ENTRIES)}
    with managing(tmp_path / "serve", standin, more=more, mode="dual") as serve:
        document = serve.nobody.get("/openapi.json").json()
        documented = sum(
            len(methods) for path, methods in document["paths"].items() if path.startswith(ONLY_DUAL)
        )
        done = _run(serve, headers, "--include-path-regex", f"^({'|'.join(ONLY_DUAL)})")
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert _asked(done) == documented == 6
        event = {"event_type": "a", "data": {}}
        assert serve.nobody.post("/events", json=event, headers=headers).status_code == 201
        _no_error_of_ours(serve)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("generation", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_goes_on_until_it_is_left_answers_as_the_document_says(
    tmp_path: Path, generation: GenerationMode
) -> None:
    """Of `/api/tail` its first line is read: Schemathesis itself would wait for the last."""
    with managing(tmp_path / "serve", None, more={}) as serve, requests.Session() as http:
        document = serve.nobody.get("/openapi.json").json()
        operation = openapi.from_dict(document, config=Config.from_path(CONFIG))["/api/tail"]["GET"]
        codes: Counter[int] = Counter()

        @seed(7)
        @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy(generation_mode=generation))
        def ask(case: Case) -> None:
            if codes.total() % 10 == 0:
                serve.nobody.post("/events", json={"event_type": "a", "data": {"n": 1}})
            with http.request(
                **case.as_transport_kwargs(base_url=serve.url), stream=True, timeout=60
            ) as answer:
                line = next(answer.iter_content(None)) if answer.status_code == 200 else answer.content
                codes[answer.status_code] += 1
                headers = {name: [value] for name, value in answer.headers.items()}
                case.validate_response(
                    Response(answer.status_code, headers, line, answer.request, elapsed=0.0, verify=True)
                )
                if answer.status_code == 200:
                    msgspec.json.decode(line, type=TailLine)

        ask()
        assert codes.total() >= (60 if generation is GenerationMode.POSITIVE else 10)
        assert set(codes) <= {200, 400}, codes
        _no_error_of_ours(serve)


def _run(serve: Managed, headers: Mapping[str, str], *which: str) -> subprocess.CompletedProcess[str]:
    words = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "--no-color",
        "run", f"{serve.url}/openapi.json", "--max-examples", "20", "--seed", "7",
        "--suppress-health-check", "all", "--warnings", "off", "--max-failures", "20", *which,
        *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}")),
    ]  # fmt: skip
    return subprocess.run(words, capture_output=True, text=True, timeout=380, check=False, cwd=serve.folder)


def _asked(done: subprocess.CompletedProcess[str]) -> int:
    found = re.search(r"Tested: (\d+)", done.stdout)
    assert found is not None, done.stdout[-3000:]
    return int(found[1])


def _no_error_of_ours(serve: Managed) -> None:
    log = (serve.folder / "serve.log").read_text()
    assert "an error of ours" not in log
    assert "Traceback" not in log
