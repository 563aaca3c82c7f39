"""Users, sessions and refresh tokens in schema auth. Each call is one transaction; nothing of it stays where it fails."""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from migctl.stack.standin.database import Connection, Pool, fetch
from migctl.stack.standin.users import errors, rules
from migctl.stack.standin.users.shapes import AUDIENCE, Identity, Session, User

_SAME_EMAIL = "users_email_partial_key"
_NOBODY = "00000000-0000-0000-0000-000000000000"
_USER = """
select id::text, aud, role, coalesce(email, ''), coalesce(phone, ''), encrypted_password, email_confirmed_at,
  last_sign_in_at, coalesce(raw_app_meta_data, '{}'), coalesce(raw_user_meta_data, '{}'), created_at, updated_at,
  banned_until, is_anonymous
from auth.users where deleted_at is null and """
_IDENTITIES = """
select id::text, provider_id, provider, identity_data, last_sign_in_at, created_at, updated_at
from auth.identities where user_id = $1::uuid order by created_at, id"""
_INSERT = """
insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
  raw_user_meta_data, created_at, updated_at, is_anonymous, confirmation_token, recovery_token, email_change_token_new,
  email_change)
values ($1::uuid, $2::uuid, $3::text, $3::text, $4::text, $5, case when $4::text is not null then now() end, $6::jsonb,
  $7::jsonb, now(), now(), $4::text is null, '', '', '', '')"""
_IDENTIFY = """
insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
values ($1::text, $1::text::uuid, $2::jsonb, 'email', now(), now(), now())
on conflict (provider_id, provider) do update set identity_data = excluded.identity_data, updated_at = now()"""
_UPDATE = """
update auth.users set updated_at = now(),
  raw_user_meta_data = $2::jsonb,
  raw_app_meta_data = coalesce(raw_app_meta_data, '{}') || $5::jsonb,
  encrypted_password = coalesce($3, encrypted_password),
  email = coalesce($4::text, email), email_confirmed_at = case when $4::text is null then email_confirmed_at else now() end,
  is_anonymous = is_anonymous and $4::text is null
where id = $1::uuid"""
_TOKEN = """
select token, revoked, coalesce(extract(epoch from now() - updated_at), 0)::float8, user_id, session_id::text
from auth.refresh_tokens where token = $1 for update"""
_ACTIVE = """
select token, parent from auth.refresh_tokens where session_id = $1::uuid and not revoked order by id desc limit 1"""
_METHOD = """
select authentication_method, updated_at from auth.mfa_amr_claims where session_id = $1::uuid order by updated_at desc limit 1"""

_LEAVE = {
    "local": b"delete from auth.sessions where user_id = $1::uuid and id = $2::uuid",
    "others": b"delete from auth.sessions where user_id = $1::uuid and id <> $2::uuid",
}


class Accounts:
    """pool: of the role that owns these tables. Raises AuthError, and what the pool raises."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_email(self, email: str) -> User | None:
        async with self._pool.connection() as conn:
            return await _one(conn, "email = $1 and not is_sso_user", email)

    async def by_id(self, user_id: str) -> User | None:
        async with self._pool.connection() as conn:
            return await _one(conn, "id = $1::uuid", user_id)

    async def session_is_there(self, session_id: str) -> bool:
        async with self._pool.connection() as conn:
            return bool(await fetch(conn, "select 1 from auth.sessions where id = $1::uuid", [session_id]))

    async def create(
        self, email: str | None, password_hash: str | None, data: Mapping[str, Any], user_agent: str
    ) -> tuple[User, Session]:
        """A user who is in at once; without an address an anonymous one."""
        async with self._pool.connection() as conn, conn.transaction():
            user_id = await _insert(conn, email, password_hash, data, errors.user_exists)
            method = "anonymous" if email is None else "password"
            return await _enter(conn, user_id, method, user_agent)

    async def add(self, email: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        """A user who is not in yet."""
        async with self._pool.connection() as conn, conn.transaction():
            return await _known(conn, await _insert(conn, email, password_hash, data, errors.email_exists))

    async def enter(self, user_id: str, user_agent: str) -> tuple[User, Session]:
        """Another session of one whose password fits."""
        async with self._pool.connection() as conn, conn.transaction():
            return await _enter(conn, user_id, "password", user_agent)

    async def change(
        self, user: User, email: str | None, password_hash: str | None, data: Mapping[str, Any]
    ) -> User:
        """email, password_hash: None where they stay. data: added; null takes a key away. An address ends being anonymous."""
        app = {} if email is None else {"provider": "email", "providers": ["email"]}
        more = {} if email is None else {"email_verified": True}
        known = {
            name: value for name, value in {**user.user_metadata, **data, **more}.items() if value is not None
        }
        async with self._pool.connection() as conn, conn.transaction():
            try:
                await conn.execute(
                    _UPDATE.encode(), [user.id, Jsonb(known), password_hash, email, Jsonb(app)]
                )
            except psycopg.errors.UniqueViolation as error:
                if error.diag.constraint_name != _SAME_EMAIL:
                    raise
                raise errors.email_exists() from None
            if email is not None:
                await _identify(conn, user.id, email, {})
            return await _known(conn, user.id)

    async def refresh(self, token: str, reuse_s: float) -> tuple[User, Session]:
        """By the table of `rules`. reuse_s: for how long a revoked token may come again."""
        refused = False
        async with self._pool.connection() as conn, conn.transaction():
            rows = await fetch(conn, _TOKEN, [token])
            if not rows:
                raise errors.no_such_refresh_token()
            _, revoked, age_s, user_id, session_id = rows[0]
            active = await fetch(conn, _ACTIVE, [session_id])
            match rules.refresh(
                revoked=bool(revoked),
                age_s=age_s,
                parent_of_active=bool(active) and active[0][1] == token,
                reuse_s=reuse_s,
            ):
                case "refuse":  # what is done against who has an old one stays
                    refused = True
                    await conn.execute(
                        b"update auth.refresh_tokens set revoked = true, updated_at = now()"
                        b" where session_id = $1::uuid and not revoked",
                        [session_id],
                    )
                case "again":
                    given = active[0][0]
                case "swap":
                    await conn.execute(
                        b"update auth.refresh_tokens set revoked = true, updated_at = now() where token = $1",
                        [token],
                    )
                    given = await _grant(conn, user_id, session_id, token)
            if not refused:
                await conn.execute(
                    b"update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now()"
                    b" where id = $1::uuid",
                    [session_id],
                )
                method, entered_at = (await fetch(conn, _METHOD, [session_id]))[0]
                return await _known(conn, user_id), Session(session_id, method, entered_at, given)
        raise errors.refresh_token_used()

    async def leave(self, user_id: str, session_id: str | None, scope: str) -> None:
        """scope: global, local or others; without a session of its own, who leaves does so everywhere."""
        async with self._pool.connection() as conn:
            if session_id is None or scope not in _LEAVE:
                await conn.execute(b"delete from auth.sessions where user_id = $1::uuid", [user_id])
            else:
                await conn.execute(_LEAVE[scope], [user_id, session_id])


async def _insert(
    conn: Connection,
    email: str | None,
    password_hash: str | None,
    data: Mapping[str, Any],
    exists: Callable[[], errors.AuthError],
) -> str:
    """Returns the id. exists: what it is where the address is another's."""
    user_id = str(uuid.uuid4())
    app = {} if email is None else {"provider": "email", "providers": ["email"]}
    verified = {} if email is None else {"email_verified": True}
    values = (email, password_hash, Jsonb(app), Jsonb({**data, **verified}))
    try:
        await conn.execute(_INSERT.encode(), [_NOBODY, user_id, AUDIENCE, *values])
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name != _SAME_EMAIL:  # a trigger of the project's own
            raise
        raise exists() from None
    if email is not None:
        await _identify(conn, user_id, email, data)
    return user_id


async def _one(conn: Connection, where: str, value: str) -> User | None:
    rows = await fetch(conn, _USER + where, [value])
    if not rows:
        return None
    identities = await fetch(conn, _IDENTITIES, [rows[0][0]])
    return replace(User(*rows[0]), identities=[Identity(*row) for row in identities])


async def _known(conn: Connection, user_id: str) -> User:
    user = await _one(conn, "id = $1::uuid", user_id)
    if user is None:
        raise errors.AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
    return user


async def _identify(conn: Connection, user_id: str, email: str, data: Mapping[str, Any]) -> None:
    known = {**data, "sub": user_id, "email": email, "email_verified": False, "phone_verified": False}
    await conn.execute(_IDENTIFY.encode(), [user_id, Jsonb(known)])


async def _enter(conn: Connection, user_id: str, method: str, user_agent: str) -> tuple[User, Session]:
    session_id = str(uuid.uuid4())
    await conn.execute(
        b"insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent)"
        b" values ($1::uuid, $2::uuid, now(), now(), 'aal1', $3)",
        [session_id, user_id, user_agent],
    )
    entered = await fetch(
        conn,
        "insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)"
        " values ($1::uuid, $2::uuid, now(), now(), $3) returning updated_at",
        [str(uuid.uuid4()), session_id, method],
    )
    token = await _grant(conn, user_id, session_id, None)
    await conn.execute(b"update auth.users set last_sign_in_at = now() where id = $1::uuid", [user_id])
    return await _known(conn, user_id), Session(session_id, method, entered[0][0], token)


async def _grant(conn: Connection, user_id: str, session_id: str, parent: str | None) -> str:
    letters = string.ascii_lowercase + string.digits
    token = "".join(secrets.choice(letters) for _ in range(12))
    await conn.execute(
        b"insert into auth.refresh_tokens"
        b" (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)"
        b" values ($1::uuid, $2, $3, false, now(), now(), $4, $5::uuid)",
        [_NOBODY, token, user_id, parent or "", session_id],
    )
    return token
