"""Auth user: the access token of a user of Supabase Auth, for projects whose keys nobody can sign with.

The official client signs in and refreshes. A refresh token is good once: where the answer to a refresh was lost, or somebody
used it, the session is over, and the user signs in again by password. What the client says of a failure is not repeated but for its
code.
"""

from __future__ import annotations

from typing import Any, ClassVar

from migctl.config import Target
from migctl.config.address import is_local
from migctl.errors import Systemic, Transient
from migctl.target.errors import of_exception, short
from migctl.target.minted import Minted
from migctl.target.renewed import Renewed, usable

TIMEOUT_S = 10.0


class AuthUser(Renewed):
    """Signs in as the user of the target when a token is needed first, and again where the session is over."""

    name: ClassVar[str] = "SUPABASE_USER_EMAIL"

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target
        self._refresh_token: str | None = None

    async def _obtain(self) -> Minted:
        import httpx
        from supabase_auth import errors as auth

        action = f"sign in at {self._target.supabase_url} as the user that SUPABASE_USER_EMAIL names"
        try:
            answer = await self._session()
        except auth.AuthRetryableError as error:
            raise Transient(f"{action}: HTTP {error.status}", do="nothing: it is tried again") from None
        except auth.AuthApiError as error:
            code = f"HTTP {error.status}, {short(str(error.code or 'no code'))}"
            if error.status == 429 or error.status >= 500:
                raise Transient(f"{action}: {code}", do="nothing: it is tried again") from None
            raise Systemic(
                f"{action}: {code}",
                do="check SUPABASE_USER_EMAIL, SUPABASE_USER_PASSWORD and SUPABASE_PUBLISHABLE_KEY; the user must be confirmed",
            ) from None
        except httpx.HTTPError as error:
            raise of_exception(action, error) from error
        except (auth.AuthError, ValueError, TypeError, AttributeError, KeyError):
            raise Systemic(
                f"{action}: the answer is none of Supabase Auth",
                do="set SUPABASE_URL to the project's address: another service answered",
            ) from None
        session = answer.session
        if session is None:
            raise Systemic(
                f"{action}: no session", do="confirm the user's address in the project, then try again"
            )
        self._refresh_token = session.refresh_token
        found = usable(session.access_token)
        if isinstance(found, str):
            raise Systemic(
                f"{action}: it gave {found}",
                do="look at the access token hook of the project's Auth settings",
            )
        return found

    async def _session(self) -> Any:
        import httpx
        from supabase import AsyncClientOptions, acreate_client
        from supabase_auth.errors import AuthApiError

        target, refresh_token = self._target, self._refresh_token
        self._refresh_token = None
        # Once in most of an hour: no connection would live from one time to the next.
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=not is_local(target.supabase_url)) as http:
            options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
            auth = (await acreate_client(target.supabase_url, target.need("anon_key"), options)).auth
            if refresh_token is not None:
                try:
                    return await auth.refresh_session(refresh_token)
                except AuthApiError as error:
                    if error.status >= 500 or error.status == 429:
                        raise
            return await auth.sign_in_with_password(
                {"email": target.user_email or "", "password": target.user_password or ""}
            )
