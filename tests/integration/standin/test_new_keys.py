"""A project of today: keys that are no JWTs, no shared secret, and user tokens signed with a key of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from migctl import clock
from migctl.stack.keys import Keys
from migctl.stack.postgres import Postgres
from tests.integration.standin.conftest import Site, eventually, starting
from tests.integration.standin.test_realtime import Wire
from tests.kit import databases

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


def rsa_key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    document: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(made, as_dict=True)
    return json.dumps({**document, "kid": "rsa", "alg": "RS256", "use": "sig"})


@pytest.fixture(scope="module")
def modern(
    postgres: Postgres, templates: databases.Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """With new keys alone, two secret ones, and two signing keys: ES256 signs, RS256 is in standby."""
    keys = Keys.fresh(clock.now(), "new").with_secret_key()
    keys = Keys(
        **{**{n: getattr(keys, n) for n in keys.__slots__}, "signing_keys": (*keys.signing_keys, rsa_key())}
    )
    url = databases.clone(postgres, templates.get("template_fresh"))
    with starting(url, keys, tmp_path_factory.mktemp("modern")) as run:
        yield run()
    databases.drop(postgres, url)


def user_token(
    site: Site, key: int = 0, *, role: str = "authenticated", ttl: float = 60, **claims: Any
) -> str:
    """As an operator signs it with a key of their own. key: 0 is ES256, 1 RS256."""
    document = json.loads(site.keys.signing_keys[key])
    now = int(time.time())
    claims = {"role": role, "iat": now, "exp": now + int(ttl), **claims}
    private = jwt.PyJWK({k: v for k, v in document.items() if k != "key_ops"}).key
    return jwt.encode(claims, private, document["alg"], headers={"kid": document["kid"]})


async def whoami(site: Site, key: str | None, token: str | None = None, **headers: str) -> httpx.Response:
    said = {"apikey": key} if key is not None else {}
    if token is not None:
        said["Authorization"] = f"Bearer {token}"
    async with httpx.AsyncClient(headers={**said, **headers}) as http:
        return await http.post(f"{site.url}/rest/v1/rpc/whoami", json={})


async def client(site: Site, key: str | None) -> AsyncClient:
    assert key is not None
    return await acreate_client(site.url, key, AsyncClientOptions(auto_refresh_token=False))


async def test_the_official_client_reads_and_writes_with_new_keys(modern: Site) -> None:
    for secret in modern.keys.secret_keys:
        service = await client(modern, secret)
        await (
            service.table("notes").upsert({"seq": len(secret) + 1, "kind": "k"}, on_conflict="seq").execute()
        )
        assert (await service.rpc("whoami", {}).execute()).data["user"] == "service_role"
    public = await client(modern, modern.keys.publishable_key)
    assert (await public.rpc("whoami", {}).execute()).data["user"] == "anon"


@pytest.mark.parametrize("key", [0, 1], ids=["ES256", "RS256"])
async def test_a_user_token_of_each_signing_key_is_good_for_rest_and_realtime(modern: Site, key: int) -> None:
    token = user_token(modern, key, sub="ann")
    answer = await whoami(modern, modern.keys.publishable_key, token)
    assert (answer.json()["user"], answer.json()["claims"]["sub"]) == ("authenticated", "ann")
    ann = await client(modern, modern.keys.publishable_key)
    await ann.realtime.set_auth(token)
    heard: list[dict[str, Any]] = []
    channel = ann.channel("room:open", {"config": {"private": True}})  # type: ignore[typeddict-item]
    channel.on_broadcast("*", lambda message: heard.append(dict(message)))
    states: list[str] = []
    await channel.subscribe(lambda state, _: states.append(state.value))
    await eventually(lambda: states == ["SUBSCRIBED"])
    async with httpx.AsyncClient() as http:
        message = {"topic": "room:open", "event": "e", "payload": {"n": 1}, "private": True}
        answer = await http.post(
            f"{modern.url}/realtime/v1/api/broadcast",
            json={"messages": [message]},
            headers={"apikey": modern.keys.secret_keys[1]},
        )
    assert answer.status_code == 202
    await eventually(lambda: bool(heard))
    await ann.realtime.close()


async def test_a_publishable_key_as_the_token_of_a_join_is_the_key_of_the_socket(modern: Site) -> None:
    anyone = await client(modern, modern.keys.publishable_key)
    states: dict[str, list[str]] = {"public": [], "room:open": []}
    for topic, found in states.items():
        channel = anyone.channel(topic, {"config": {"private": topic != "public"}})  # type: ignore[typeddict-item]
        await channel.subscribe(
            lambda state, error, found=found: found.append(f"{state.value} {error or ''}")
        )
    await eventually(lambda: all(states.values()))
    assert states["public"] == ["SUBSCRIBED "]
    assert "Unauthorized: You do not have permissions" in states["room:open"][0]
    await anyone.realtime.close()


async def test_a_publishable_key_never_renews_the_token_of_a_channel(modern: Site) -> None:
    address = f"{modern.url.replace('http', 'ws')}/realtime/v1/websocket"
    async with connect(f"{address}?apikey={modern.keys.publishable_key}&vsn=1.0.0") as socket:
        wire = Wire(socket, "1.0.0")
        topic = "realtime:room:open"
        token = user_token(modern)
        await wire.send(topic, "phx_join", {"access_token": token, "config": {"private": True}}, join_ref="1")
        assert (await wire.next("phx_reply"))["status"] == "ok"
        await wire.send(topic, "access_token", {"access_token": modern.keys.publishable_key}, join_ref="1")
        message = {"type": "broadcast", "event": "e", "payload": {}}
        await wire.send(topic, "broadcast", message, join_ref="1")
        ref = await wire.send("phoenix", "heartbeat", {})
        events = []
        while not events or events[-1][2] != ref:
            events.append(await wire.receive())
        assert "phx_close" not in {event for event, _, _ in events}


async def test_a_secret_key_from_a_browser_is_refused_and_a_publishable_one_is_not(modern: Site) -> None:
    refused = await whoami(modern, modern.keys.secret_keys[0], **{"User-Agent": CHROME})
    assert (refused.status_code, refused.json()["message"]) == (
        401,
        "Forbidden use of secret API key in browser",
    )
    assert (await whoami(modern, modern.keys.publishable_key, **{"User-Agent": CHROME})).status_code == 200


async def test_a_new_key_in_authorization_is_good_only_where_it_is_the_api_key(modern: Site) -> None:
    publishable, secret = modern.keys.publishable_key, modern.keys.secret_keys[0]
    assert publishable is not None
    assert (await whoami(modern, secret, secret)).json()["user"] == "service_role"
    refused = await whoami(modern, publishable, secret)
    assert (refused.status_code, refused.json()["code"]) == (401, "PGRST301")
    async with httpx.AsyncClient() as http:
        message = {"topic": "t", "event": "e", "payload": {}}
        answer = await http.post(
            f"{modern.url}/realtime/v1/api/broadcast",
            json={"messages": [message]},
            headers={"apikey": publishable, "Authorization": f"Bearer {secret}"},
        )
    assert answer.status_code == 401


async def test_a_key_or_a_token_of_before_is_refused(modern: Site) -> None:
    other = Keys.fresh(clock.now())
    assert (await whoami(modern, other.anon_key)).json()["message"] == "Invalid API key"
    assert (await whoami(modern, "sb_secret_deleted")).json()["message"] == "Unregistered API key"
    refused = await whoami(modern, modern.keys.publishable_key, other.anon_key)
    assert (refused.status_code, refused.json()["message"]) == (401, "No suitable key or wrong key type")
    address = f"{modern.url.replace('http', 'ws')}/realtime/v1/websocket"
    with pytest.raises(InvalidStatus) as found:
        await connect(f"{address}?apikey=sb_publishable_other&vsn=1.0.0")
    assert found.value.response.status_code == 401
    async with connect(f"{address}?apikey={modern.keys.publishable_key}&vsn=1.0.0") as socket:
        wire = Wire(socket, "1.0.0")
        await wire.send("realtime:a", "phx_join", {"access_token": other.anon_key}, join_ref="1")
        reply = await wire.next("phx_reply")
        assert reply["response"]["reason"].startswith("JwtSignerError: ")


async def test_the_faults_open_to_a_secret_key_and_not_to_a_publishable_one(modern: Site) -> None:
    async with httpx.AsyncClient() as http:
        for key, status in ((modern.keys.secret_keys[1], 200), (modern.keys.publishable_key, 403)):
            answer = await http.get(f"{modern.url}/standin/v1/faults", headers={"apikey": str(key)})
            assert answer.status_code == status
