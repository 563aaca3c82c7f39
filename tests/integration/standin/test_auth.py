"""Users of a project, by the official client: they sign up, sign in, refresh and sign out, and their rows are theirs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from migctl import clock
from migctl.stack.keys import Keys, Kind
from migctl.stack.postgres import Postgres
from tests.integration.standin.conftest import Site, Start, eventually, starting
from tests.kit import databases

OWN = """
create table public.tasks (id uuid primary key default extensions.uuid_generate_v4(), owner uuid default auth.uid()
  references auth.users (id) on delete cascade, mail text default auth.email(), what text);
alter table public.tasks enable row level security;
create policy own on public.tasks to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
alter publication supabase_realtime add table public.tasks;
create table public.profiles (id uuid primary key references auth.users (id) on delete cascade, name text);
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if new.raw_user_meta_data ->> 'name' = 'nobody' then raise exception 'no such name'; end if;
  insert into public.profiles (id, name) values (new.id, new.raw_user_meta_data ->> 'name');
  return new;
end $$;
create trigger on_auth_user_created after insert on auth.users
  for each row execute function public.handle_new_user();
"""


_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["old", "new"])
def project(
    request: pytest.FixtureRequest,
    postgres: Postgres,
    templates: databases.Templates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """With what people put beside auth.users: rows that belong to a user, and a trigger that makes a profile."""
    kind: Kind = request.param
    url = databases.clone(postgres, templates.get("template_fresh"))
    with starting(url, Keys.fresh(clock.now(), kind), tmp_path_factory.mktemp("project")) as run:
        site = run("--refresh-reuse-seconds", "0")
        site.sql(OWN)
        yield site
    databases.drop(postgres, url)


async def client(site: Site) -> AsyncClient:
    key = site.keys.shown.anon_key
    assert key is not None
    return await acreate_client(site.url, key, AsyncClientOptions(auto_refresh_token=False))


def address() -> str:
    return f"ann{next(_numbers)}@example.com"


def code_of(error: pytest.ExceptionInfo[AuthApiError]) -> tuple[int, str | None]:
    return error.value.status, error.value.code


async def test_a_user_signs_up_and_is_in_at_once(project: Site) -> None:
    mail = address()
    ann = await client(project)
    answer = await ann.auth.sign_up(
        {"email": mail.upper(), "password": "correct horse", "options": {"data": {"name": "Ann"}}}
    )
    assert answer.user is not None
    assert answer.session is not None
    assert (answer.user.email, answer.user.role, answer.user.aud) == (mail, "authenticated", "authenticated")
    assert answer.user.user_metadata["name"] == "Ann"
    assert answer.user.app_metadata == {"provider": "email", "providers": ["email"]}
    assert answer.user.identities is not None
    assert [one.provider for one in answer.user.identities] == ["email"]
    header = jwt.get_unverified_header(answer.session.access_token)
    assert header["alg"] == ("HS256" if project.keys.kind == "old" else "ES256")
    assert (await ann.auth.get_user()).user == answer.user  # type: ignore[union-attr]
    assert project.sql("select name from public.profiles where id = %s::uuid", answer.user.id) == [("Ann",)]
    (row,) = project.sql("select encrypted_password from auth.users where email = %s", mail)
    assert "correct horse" not in row[0]


async def test_a_server_adds_users_and_a_client_does_not(project: Site) -> None:
    mail, ann = address(), await client(project)
    wish = {
        "email": mail,
        "password": "correct horse",
        "user_metadata": {"name": "Ann"},
        "email_confirm": True,
    }
    with pytest.raises(AuthApiError) as found:
        await ann.auth.admin.create_user(wish)  # type: ignore[arg-type]
    assert code_of(found) == (403, "not_admin")
    key = project.keys.shown.service_role_key
    assert key is not None
    boss = await acreate_client(project.url, key, AsyncClientOptions(auto_refresh_token=False))
    made = await boss.auth.admin.create_user(wish)  # type: ignore[arg-type]
    assert (made.user.email, made.user.user_metadata["name"]) == (mail, "Ann")
    with pytest.raises(AuthApiError) as found:
        await boss.auth.admin.create_user(wish)  # type: ignore[arg-type]
    assert code_of(found) == (422, "email_exists")
    entered = await ann.auth.sign_in_with_password({"email": mail, "password": "correct horse"})
    assert entered.user is not None
    assert entered.user.id == made.user.id


async def test_the_official_client_checks_a_token_by_the_public_keys(project: Site) -> None:
    ann = await client(project)
    await ann.auth.sign_up({"email": address(), "password": "correct horse"})
    answer = await ann.auth.get_claims()
    assert answer is not None
    assert answer["claims"]["role"] == "authenticated"
    async with httpx.AsyncClient() as http:
        shown = await http.get(f"{project.url}/auth/v1/.well-known/jwks.json")
    assert len(shown.json()["keys"]) == (0 if project.keys.kind == "old" else 1)
    assert shown.headers["cache-control"] == "public, max-age=600"


async def test_wrong_credentials_and_a_second_signup_are_refused(project: Site) -> None:
    mail = address()
    ann = await client(project)
    await ann.auth.sign_up({"email": mail, "password": "correct horse"})
    bob = await client(project)
    for known, password in ((mail, "wrong horse"), ("nobody@example.com", "correct horse")):
        with pytest.raises(AuthApiError) as refused:
            await bob.auth.sign_in_with_password({"email": known, "password": password})
        assert code_of(refused) == (400, "invalid_credentials")
    with pytest.raises(AuthApiError) as refused:
        await bob.auth.sign_up({"email": mail, "password": "correct horse"})
    assert code_of(refused) == (422, "user_already_exists")
    with pytest.raises(AuthWeakPasswordError):
        await bob.auth.sign_up({"email": address(), "password": "short"})


async def test_each_user_sees_only_rows_of_their_own_by_rest_and_by_realtime(project: Site) -> None:
    users: dict[str, AsyncClient] = {}
    heard: dict[str, list[str]] = {"ann": [], "bob": []}
    subscribed: list[str] = []
    for name in ("ann", "bob"):
        one = users[name] = await client(project)
        await one.auth.sign_up({"email": address(), "password": "correct horse"})
        channel = one.channel(f"tasks-{name}")

        def hear(change: Any, name: str = name) -> None:
            heard[name].append(change["data"]["record"]["what"])

        channel.on_postgres_changes("INSERT", hear, schema="public", table="tasks")
        channel.on_system(
            lambda message, name=name: subscribed.append(name) if message.status == "ok" else None
        )
        await channel.subscribe()
    await eventually(lambda: sorted(subscribed) == ["ann", "bob"], 10)
    for name, one in users.items():
        await one.table("tasks").insert({"what": f"of {name}"}).execute()
    await eventually(lambda: all(heard.values()), 10)
    for name, one in users.items():
        rows = (await one.table("tasks").select("what, mail").execute()).data
        assert [row["what"] for row in rows] == [f"of {name}"]
        assert rows[0]["mail"].endswith("@example.com")
        await one.realtime.close()
    assert heard == {"ann": ["of ann"], "bob": ["of bob"]}


async def test_an_anonymous_user_is_authenticated_and_can_be_given_an_address(project: Site) -> None:
    one = await client(project)
    answer = await one.auth.sign_in_anonymously()
    assert answer.user is not None
    assert (answer.user.is_anonymous, answer.user.role, answer.user.identities) == (True, "authenticated", [])
    await one.table("tasks").insert({"what": "mine"}).execute()
    mail = address()
    with pytest.raises(AuthApiError) as refused:
        await one.auth.update_user({"password": "correct horse"})
    assert code_of(refused) == (422, "validation_failed")
    changed = await one.auth.update_user({"email": mail, "password": "correct horse", "data": {"name": "A"}})
    assert (changed.user.is_anonymous, changed.user.email, changed.user.id) == (False, mail, answer.user.id)
    again = await client(project)
    await again.auth.sign_in_with_password({"email": mail, "password": "correct horse"})
    assert [row["what"] for row in (await again.table("tasks").select("what").execute()).data] == ["mine"]


async def test_a_refresh_token_is_good_once_and_one_that_comes_late_ends_the_session(project: Site) -> None:
    ann = await client(project)
    answer = await ann.auth.sign_up({"email": address(), "password": "correct horse"})
    assert answer.session is not None
    first = answer.session.refresh_token
    second = await ann.auth.refresh_session(first)
    assert second.session is not None
    assert second.session.refresh_token != first
    again = await ann.auth.refresh_session(first)  # the client may not have got the answer
    assert again.session is not None
    assert again.session.refresh_token == second.session.refresh_token
    third = await ann.auth.refresh_session(second.session.refresh_token)
    assert third.session is not None
    with pytest.raises(AuthApiError) as refused:
        await ann.auth.refresh_session(first)
    assert code_of(refused) == (400, "refresh_token_already_used")
    with pytest.raises(AuthApiError) as refused:
        await ann.auth.refresh_session(third.session.refresh_token)
    assert code_of(refused) == (400, "refresh_token_already_used")
    with pytest.raises(AuthApiError) as refused:
        await ann.auth.refresh_session("abcdefghijkl")
    assert code_of(refused) == (400, "refresh_token_not_found")


async def test_within_the_reuse_interval_a_used_refresh_token_is_good_once_more(start: Start) -> None:
    site = start()
    ann = await client(site)
    answer = await ann.auth.sign_in_anonymously()
    assert answer.session is not None
    first = answer.session.refresh_token
    second = await ann.auth.refresh_session(first)
    assert second.session is not None
    await ann.auth.refresh_session(second.session.refresh_token)
    assert (await ann.auth.refresh_session(first)).session is not None


async def test_who_signs_out_is_out_before_the_token_ends(project: Site) -> None:
    mail = address()
    ann = await client(project)
    answer = await ann.auth.sign_up({"email": mail, "password": "correct horse"})
    assert answer.session is not None
    elsewhere = await client(project)
    await elsewhere.auth.sign_in_with_password({"email": mail, "password": "correct horse"})
    await ann.auth.sign_out({"scope": "local"})
    with pytest.raises(AuthApiError) as refused:
        await ann.auth.get_user(answer.session.access_token)
    assert code_of(refused) == (403, "session_not_found")
    with pytest.raises(AuthApiError) as refused:
        await ann.auth.refresh_session(answer.session.refresh_token)
    assert code_of(refused) == (400, "refresh_token_not_found")
    assert (await elsewhere.auth.get_user()) is not None
    await elsewhere.auth.sign_out()
    assert project.sql(
        "select count(*) from auth.sessions s join auth.users u on u.id = s.user_id where email = %s", mail
    ) == [(0,)]


async def test_a_trigger_that_raises_leaves_no_user(project: Site) -> None:
    mail = address()
    one = await client(project)
    with pytest.raises(AuthApiError) as refused:
        await one.auth.sign_up(
            {"email": mail, "password": "correct horse", "options": {"data": {"name": "nobody"}}}
        )
    assert code_of(refused) == (500, "unexpected_failure")
    assert project.sql("select count(*) from auth.users where email = %s", mail) == [(0,)]


async def test_a_key_is_no_user(project: Site) -> None:
    key = str(project.keys.shown.service_role_key)
    async with httpx.AsyncClient(headers={"apikey": key, "Authorization": f"Bearer {key}"}) as http:
        answer = await http.get(f"{project.url}/auth/v1/user")
    assert (answer.status_code, answer.json()["error_code"]) == (403, "bad_jwt")
    assert answer.headers["x-sb-error-code"] == "bad_jwt"
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{project.url}/auth/v1/settings", headers={"apikey": key})
        assert answer.json()["external"]["anonymous_users"] is True
        assert (await http.get(f"{project.url}/auth/v1/settings")).status_code == 401


def test_the_owner_of_a_project_reads_its_users_and_can_not_alter_their_table(project: Site) -> None:
    assert project.sql("select count(*) from auth.users")[0][0] >= 0
    assert project.sql("select uuid_generate_v4() is not null") == [(True,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        project.sql("alter table auth.users add column mine text")
