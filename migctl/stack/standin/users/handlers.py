"""HTTP of the subset of Auth, below /auth/v1. Addresses are confirmed at once, as on the local stack of Supabase's CLI."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import psycopg
from aiohttp import web

from migctl.stack.standin.auth import BadToken, Tokens
from migctl.stack.standin.database import DatabaseDown, PoolTimeout
from migctl.stack.standin.gateway import admitted
from migctl.stack.standin.keyring import NoKey
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.users import errors, passwords, rules, shapes
from migctl.stack.standin.users.accounts import Accounts
from migctl.stack.standin.users.errors import AuthError
from migctl.stack.standin.users.shapes import AUDIENCE, Session, User
from migctl.telemetry import get_logger

_log = get_logger("standin.auth")
PATH = "/auth/v1"


class SignedIn(NamedTuple):
    user: User
    session_id: str | None


class Auth:
    """The routes below PATH. wall: seconds since 1970."""

    def __init__(self, accounts: Accounts, tokens: Tokens, limits: Limits, wall: Callable[[], float]) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._limits = limits
        self._wall = wall

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH + "/.well-known/jwks.json", self._jwks),
            web.get(PATH + "/health", self._health),
            web.get(PATH + "/settings", self._answered(self._settings)),
            web.post(PATH + "/signup", self._answered(self._signup)),
            web.post(PATH + "/token", self._answered(self._token)),
            web.get(PATH + "/user", self._answered(self._user)),
            web.put(PATH + "/user", self._answered(self._change)),
            web.post(PATH + "/logout", self._answered(self._logout)),
            web.post(PATH + "/admin/users", self._answered(self._add)),
        ]

    def _answered(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except AuthError as error:
                refusal = error
            except (DatabaseDown, PoolTimeout, psycopg.Error, NoKey) as error:
                _log.warning(
                    "auth failed", path=request.path, reason=f"{type(error).__name__}: {error}"[:200]
                )
                refusal = AuthError(500, "unexpected_failure", _unexpected(error))
            version = errors.version_for(request.headers.get(errors.VERSION_HEADER))
            named = {errors.VERSION_HEADER: version} if version is not None else {}
            return web.json_response(
                refusal.body(version),
                status=refusal.status,
                headers={"x-sb-error-code": refusal.code, **named},
            )

        return answer

    async def _jwks(self, request: web.Request) -> web.Response:
        return web.json_response(
            self._tokens.keyring.jwks(), headers={"Cache-Control": "public, max-age=600"}
        )

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"name": "GoTrue", "version": "stand-in", "description": "migctl stand-in"})

    async def _settings(self, request: web.Request) -> web.Response:
        return web.json_response(shapes.settings())

    async def _signup(self, request: web.Request) -> web.Response:
        wish = rules.asked(await request.read())
        email = kept = None
        if wish.email or wish.phone:
            rules.check_signup(wish)
            email = rules.mail_address(wish.email)
            kept = await _hashed(wish.password)
        elif wish.password:
            raise errors.invalid("Sign up only available with email provider")
        user, session = await self._accounts.create(email, kept, wish.data or {}, _agent(request))
        return self._entered(request, user, session)

    async def _token(self, request: web.Request) -> web.Response:
        match request.query.get("grant_type"):
            case "password":
                return await self._password(request)
            case "refresh_token":
                return await self._refresh(request)
        raise AuthError(400, "invalid_credentials", "unsupported_grant_type")

    async def _password(self, request: web.Request) -> web.Response:
        wish = rules.asked(await request.read())
        rules.check_login(wish)
        user = await self._accounts.by_email(wish.email.lower())
        if user is None or not await _fits(wish.password, user):
            raise errors.wrong_credentials()
        if self._is_banned(user):
            raise AuthError(400, "user_banned", "User is banned")
        if user.email_confirmed_at is None:
            raise AuthError(400, "email_not_confirmed", "Email not confirmed")
        return self._entered(request, *await self._accounts.enter(user.id, _agent(request)))

    async def _refresh(self, request: web.Request) -> web.Response:
        wish = rules.asked(await request.read())
        rules.check_refresh_token(wish.refresh_token)
        user, session = await self._accounts.refresh(wish.refresh_token, self._limits.refresh_reuse_s)
        if self._is_banned(user):
            raise AuthError(400, "user_banned", "Invalid Refresh Token: User Banned")
        return self._entered(request, user, session)

    async def _user(self, request: web.Request) -> web.Response:
        return web.json_response((await self._signed_in(request)).user.shown())

    async def _change(self, request: web.Request) -> web.Response:
        found = await self._signed_in(request)
        wish = rules.asked(await request.read())
        email = rules.mail_address(wish.email) if wish.email else None
        if wish.password:
            rules.check_password(wish.password)
        if wish.phone:
            raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
        if found.user.is_anonymous and wish.password and email is None:
            raise AuthError(
                422,
                "validation_failed",
                "Updating password of an anonymous user without an email or phone is not allowed",
            )
        if wish.password and await _fits(wish.password, found.user):
            raise AuthError(422, "same_password", "New password should be different from the old password.")
        kept = await _hashed(wish.password) if wish.password else None
        changed = await self._accounts.change(
            found.user, email if email != found.user.email else None, kept, wish.data or {}
        )
        return web.json_response(changed.shown())

    async def _logout(self, request: web.Request) -> web.Response:
        scope = request.query.get("scope") or "global"
        found = await self._signed_in(request)
        if scope not in ("global", "local", "others"):
            raise errors.invalid(f"Unsupported logout scope {json.dumps(scope)}")
        await self._accounts.leave(found.user.id, found.session_id, scope)
        return web.Response(status=204)

    async def _add(self, request: web.Request) -> web.Response:
        """For the holder of a server's key."""
        try:
            role = self._tokens.for_realtime(admitted(request).token, self._wall()).role
        except BadToken as error:
            raise errors.bad_jwt(f"invalid JWT: unable to parse or verify signature, {error.flaw}") from None
        if role != "service_role":
            raise errors.not_admin()
        wish = rules.asked(await request.read())
        email = rules.mail_address(wish.email)
        if wish.password:
            rules.check_password(wish.password)
        kept = await _hashed(wish.password) if wish.password else None
        return web.json_response((await self._accounts.add(email, kept, wish.user_metadata or {})).shown())

    def _entered(self, request: web.Request, user: User, session: Session) -> web.Response:
        issued, ttl_s = int(self._wall()), self._limits.token_s
        issuer = f"{request.scheme}://{request.host}{PATH}"
        token = self._tokens.keyring.sign(user.claims(session, issuer, issued, ttl_s))
        return web.json_response(shapes.session_answer(user, session, token, issued, ttl_s))

    async def _signed_in(self, request: web.Request) -> SignedIn:
        """Whose token it is. A session that was left, or a user who was deleted, is refused before the token ends."""
        found = admitted(request)
        if not found.authorized:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            claims = json.loads(self._tokens.for_realtime(found.token, self._wall()).claims)
        except BadToken as error:
            why = "token has invalid claims: token is expired" if error.flaw == "expired" else error.flaw
            raise errors.bad_jwt(f"invalid JWT: unable to parse or verify signature, {why}") from None
        if not claims.get("sub"):
            raise errors.bad_jwt("invalid claim: missing sub claim")
        user_id, session_id = _uuid(claims["sub"]), claims.get("session_id")
        if user_id is None:
            raise AuthError(400, "bad_jwt", "invalid claim: sub claim must be a UUID")
        user = await self._accounts.by_id(user_id)
        if user is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        if session_id:
            session_id = _uuid(session_id)
            if session_id is None:
                raise errors.bad_jwt("invalid claim: session_id claim must be a UUID")
            if not await self._accounts.session_is_there(session_id):
                raise AuthError(
                    403, "session_not_found", "Session from session_id claim in JWT does not exist"
                )
        if self._is_banned(user):
            raise AuthError(403, "user_banned", "User is banned")
        audience = claims.get("aud")
        if (audience[0] if isinstance(audience, list) and audience else audience) != AUDIENCE:
            raise errors.invalid("Token audience doesn't match request audience")
        return SignedIn(user, session_id or None)

    def _is_banned(self, user: User) -> bool:
        return user.banned_until is not None and user.banned_until.timestamp() > self._wall()


async def _hashed(password: str) -> str:
    salt = secrets.token_bytes(passwords.SALT_BYTES)
    return await asyncio.to_thread(passwords.hashed, password, salt)


async def _fits(password: str, user: User) -> bool:
    return await asyncio.to_thread(passwords.fits, password, user.password_hash)


def _agent(request: web.Request) -> str:
    return request.headers.get("User-Agent", "")


def _uuid(value: Any) -> str | None:
    try:
        return str(uuid.UUID(value))
    except (ValueError, TypeError, AttributeError):
        return None


def _unexpected(error: Exception) -> str:
    # A trigger on auth.users that raises is what people meet most; the real one has no word of it either.
    if isinstance(error, psycopg.Error):
        return "Database error saving new user"
    return "Unexpected failure, please check server logs for more information"
