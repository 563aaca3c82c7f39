"""Any sequence of requests to the API, right and wrong: no error of ours, a refusal changes nothing, and what is answered is so."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from migctl.faults.addresses import Address
from migctl.faults.api import serving
from migctl.faults.toxics import ATTRIBUTES

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(["a", "b", "c d/\u00e4", ""]) | st.text(max_size=3)
_KINDS = st.sampled_from([*ATTRIBUTES, "gremlin"])
_KEYS = sorted({key for keys in ATTRIBUTES.values() for key in keys})
_ATTRIBUTES = st.dictionaries(st.sampled_from(_KEYS), st.integers(-1, 1 << 64) | _JSON, max_size=3)
_TOXIC = st.fixed_dictionaries(
    {},
    optional={
        "type": _KINDS | _JSON,
        "stream": st.sampled_from(["upstream", "downstream", "Downstream"]) | _JSON,
        "toxicity": st.floats(0, 1) | _JSON,
        "name": _NAMES | _JSON,
        "attributes": _ATTRIBUTES | _JSON,
    },
)
_PROXY = st.fixed_dictionaries(
    {},
    optional={
        "name": _NAMES | _JSON,
        "listen": st.sampled_from(["127.0.0.1:0", "localhost:0", "[::1]:0", "0.0.0.0:0", "x"]) | _JSON,
        "upstream": st.sampled_from(["127.0.0.1:9", "localhost:9", "192.0.2.1:9"]) | _JSON,
        "enabled": st.booleans() | _JSON,
        "toxics": st.lists(_TOXIC, max_size=2) | _JSON,
    },
)
_ALL = {200, 201, 204, 400, 404, 405, 409}


class Api(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.serving = serving(Address("127.0.0.1", 0))
        running = self.runner.run(self.serving.__aenter__())
        self.http = httpx.AsyncClient(base_url=running.url, trust_env=False)

    def teardown(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.run(self.serving.__aexit__(None, None, None))
        self.runner.close()

    def ask(self, method: str, *path: str, json: Any = None) -> httpx.Response:
        quoted = "".join("/" + quote(one, safe="") for one in path)
        before = self.state()
        answer = self.runner.run(self.http.request(method, quoted, json=json))
        assert answer.status_code in _ALL, answer.text
        if answer.status_code >= 400:
            assert answer.json()["status"] == answer.status_code
            assert answer.json()["error"]
            assert self.state() == before
        return answer

    def state(self) -> Any:
        return self.runner.run(self.http.get("/proxies")).json()

    @rule(proxy=_PROXY)
    def create(self, proxy: dict[str, Any]) -> None:
        answer = self.ask("POST", "proxies", json=proxy)
        if answer.status_code == 201:
            assert self.state()[proxy["name"]] == answer.json()

    @rule(proxies=st.lists(_PROXY, max_size=3))
    def populate(self, proxies: list[dict[str, Any]]) -> None:
        answer = self.ask("POST", "populate", json=proxies)
        if answer.status_code == 201:
            assert [one["name"] for one in answer.json()["proxies"]] == [one["name"] for one in proxies]

    @rule(name=_NAMES, change=_PROXY)
    def change(self, name: str, change: dict[str, Any]) -> None:
        answer = self.ask("PATCH", "proxies", name, json=change)
        if answer.status_code == 200 and "enabled" in change and "name" in answer.json():
            assert change["enabled"] in (None, answer.json()["enabled"])

    @rule(name=_NAMES, toxic=_TOXIC)
    def add(self, name: str, toxic: dict[str, Any]) -> None:
        self.ask("POST", "proxies", name, "toxics", json=toxic)

    @rule(data=st.data(), toxic=_TOXIC)
    def add_to_one(self, data: st.DataObject, toxic: dict[str, Any]) -> None:
        if names := sorted(self.state()):
            self.ask("POST", "proxies", data.draw(st.sampled_from(names)), "toxics", json=toxic)

    @rule(data=st.data(), change=_TOXIC, method=st.sampled_from(["PATCH", "DELETE", "GET"]))
    def touch_a_toxic(self, data: st.DataObject, change: dict[str, Any], method: str) -> None:
        there = [
            (name, one["name"]) for name, proxy in sorted(self.state().items()) for one in proxy["toxics"]
        ]
        if there:
            name, toxic = data.draw(st.sampled_from(there))
            self.ask(method, "proxies", name, "toxics", toxic, json=change)

    @rule(name=_NAMES)
    def delete(self, name: str) -> None:
        self.ask("DELETE", "proxies", name)

    @rule()
    def reset(self) -> None:
        assert self.ask("POST", "reset").status_code == 204
        assert all(one["enabled"] and not one["toxics"] for one in self.state().values())

    @invariant()
    def each_is_where_it_says_under_its_name(self) -> None:
        for name, one in self.state().items():
            assert one["name"] == name
            assert not one["listen"].endswith(":0")


TestApi = Api.TestCase
TestApi.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
