"""The proxies of an API: which change is refused with what, and what is left as it was then."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from migctl.faults.api.documents import NewProxy, NewToxic, ProxyChange, Refusal, ToxicChange
from migctl.faults.api.proxies import Named, Proxies

UP = "127.0.0.1:9"


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    proxies = Proxies()
    yield proxies
    proxies.close()


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield f"127.0.0.1:{other.getsockname()[1]}"


def status(caught: pytest.ExceptionInfo[Refusal]) -> tuple[int, str]:
    return caught.value.status, str(caught.value)


async def test_a_proxy_is_up_unless_it_is_wanted_down(proxies: Proxies) -> None:
    up = (await proxies.create(NewProxy("up", None, "localhost:9"))).document()
    assert (up.enabled, up.upstream) == (True, "localhost:9")
    assert not up.listen.endswith(":0")
    down = (await proxies.create(NewProxy("down", "localhost:0", UP, False))).document()
    assert (down.enabled, down.upstream) == (False, UP)
    assert not down.listen.endswith(
        ":0"
    )  # the port is its own already, so that who is given the name can be given the address


async def test_a_name_is_taken_once_and_a_port_too(proxies: Proxies, taken: str) -> None:
    await proxies.create(NewProxy("one", None, UP))
    with pytest.raises(Refusal) as caught:
        await proxies.create(NewProxy("one", None, UP))
    assert status(caught) == (409, "proxy already exists")
    with pytest.raises(Refusal) as caught:
        await proxies.create(NewProxy("two", taken, UP))
    assert status(caught) == (500, f"listen tcp {taken}: bind: address already in use")
    assert [named.name for named in proxies] == ["one"]


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (NewProxy(), "missing required field: name"),
        (NewProxy("a"), "missing required field: upstream"),
        (NewProxy("a", None, "db.example.org:5432"), "'db.example.org:5432' is not this machine"),
        (NewProxy("a", None, "127.0.0.1:0"), "has no port"),
        (NewProxy("a", "local373", UP), "bad request body: listen: 'local373' is no address"),
        (NewProxy("a", "0.0.0.0:80", UP), "is not this machine"),
        (NewProxy("a", None, UP, None, [NewToxic("timeout"), NewToxic("gremlin")]), "invalid toxic type"),
    ],
)
async def test_what_is_no_proxy_is_refused(proxies: Proxies, new: NewProxy, error: str) -> None:
    with pytest.raises(Refusal) as caught:
        await proxies.create(new)
    assert caught.value.status == 400
    assert error in str(caught.value)
    assert list(proxies) == []


async def test_a_list_with_a_mistake_changes_nothing(proxies: Proxies) -> None:
    done: list[Named] = []
    with pytest.raises(Refusal) as caught:
        await proxies.populate([NewProxy("one", None, UP), NewProxy("", None, UP)], done)
    assert status(caught) == (400, "missing required field: name at proxy 2")
    assert (done, list(proxies)) == ([], [])


async def test_a_list_that_finds_a_port_taken_names_those_that_are_there(
    proxies: Proxies, taken: str
) -> None:
    done: list[Named] = []
    with pytest.raises(Refusal) as caught:
        await proxies.populate([NewProxy("one", None, UP), NewProxy("two", taken, UP)], done)
    assert caught.value.status == 500
    assert [named.name for named in done] == ["one"]


async def test_a_list_replaces_what_differs_and_leaves_what_does_not(proxies: Proxies) -> None:
    same, other = [await proxies.create(NewProxy(name, None, UP)) for name in ("same", "other")]
    for named in (same, other):
        named.add(NewToxic("timeout"))
    port = same.proxy.port
    done: list[Named] = []
    await proxies.populate(
        [NewProxy("same", f"localhost:{port}", UP, False), NewProxy("other", str(other.proxy.listen), "127.0.0.1:8")],
        done,
    )  # fmt: skip
    assert [len(named.proxy.toxics) for named in done] == [1, 0]
    assert [(named.proxy.enabled, named.upstream) for named in done] == [(True, UP), (True, "127.0.0.1:8")]
    assert done[1].proxy.listen == other.proxy.listen


async def test_a_proxy_that_can_not_move_stays_up_where_it_was(proxies: Proxies, taken: str) -> None:
    named = await proxies.create(NewProxy("one", None, UP))
    before = named.document()
    with pytest.raises(Refusal) as caught:
        await proxies.change("one", ProxyChange(listen=taken, upstream="127.0.0.1:8"))
    assert caught.value.status == 500
    assert named.document() == before


async def test_a_proxy_that_moves_keeps_its_toxics_and_its_state(proxies: Proxies) -> None:
    named = await proxies.create(NewProxy("one", None, UP, None, [NewToxic("timeout")]))
    before = named.proxy.port
    await proxies.change("one", ProxyChange(name="one", listen="localhost:0", upstream="127.0.0.1:8"))
    assert (named.proxy.enabled, named.upstream, len(named.proxy.toxics)) == (True, "127.0.0.1:8", 1)
    assert named.proxy.port not in (0, before)
    await proxies.change("one", ProxyChange(enabled=False))
    assert (named.proxy.enabled, named.upstream) == (False, "127.0.0.1:8")


async def test_what_keeps_its_name_is_not_given_another_in_silence(proxies: Proxies) -> None:
    named = await proxies.create(NewProxy("one", None, UP, None, [NewToxic("latency", {"latency": 1})]))
    with pytest.raises(Refusal, match="name stays 'one'"):
        await proxies.change("one", ProxyChange(name="two"))
    for change in (ToxicChange("timeout"), ToxicChange(stream="upstream"), ToxicChange(name="other")):
        with pytest.raises(Refusal, match=r"(name|type|stream) stays"):
            named.change("latency_downstream", change)
    changed = named.change(
        "latency_downstream", ToxicChange("latency", {"jitter": 2}, "Downstream", None, "")
    )
    assert changed.attributes == {"latency": 1, "jitter": 2}


async def test_a_toxic_is_found_changed_and_removed_by_its_name(proxies: Proxies) -> None:
    named = await proxies.create(NewProxy("one", None, UP))
    named.add(NewToxic("timeout"))
    for refused, expected in (
        (lambda: named.add(NewToxic("timeout")), (409, "toxic already exists")),
        (lambda: named.toxic("other"), (404, "toxic not found")),
        (lambda: named.remove("other"), (404, "toxic not found")),
        (lambda: named.change("other", ToxicChange()), (404, "toxic not found")),
        (lambda: proxies.get("other"), (404, "proxy not found")),
    ):
        with pytest.raises(Refusal) as caught:
            refused()
        assert status(caught) == expected
    with pytest.raises(Refusal, match="timeout has no attribute 'delay'"):
        named.change("timeout_downstream", ToxicChange(attributes={"delay": 1}))
    named.remove("timeout_downstream")
    assert named.proxy.toxics == []


async def test_a_reset_heals_all_though_a_port_is_taken(proxies: Proxies) -> None:
    stuck, down = [
        await proxies.create(NewProxy(name, None, UP, False, [NewToxic("timeout")]))
        for name in ("stuck", "down")
    ]
    with socket.create_server(tuple(stuck.proxy.listen)), pytest.raises(Refusal) as caught:
        await proxies.reset()
    assert caught.value.status == 500
    assert [(named.proxy.enabled, named.proxy.toxics) for named in (stuck, down)] == [(False, []), (True, [])]


async def test_a_proxy_that_is_deleted_gives_its_port_back(proxies: Proxies) -> None:
    listen = str((await proxies.create(NewProxy("one", None, UP))).proxy.listen)
    await proxies.delete("one")
    with pytest.raises(Refusal, match="proxy not found"):
        await proxies.delete("one")
    assert (await proxies.create(NewProxy("two", listen, UP))).document().listen == listen
