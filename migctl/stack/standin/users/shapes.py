"""Users and sessions, as Auth's tables have them and as its answers show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

AUDIENCE = "authenticated"


@dataclass(frozen=True, slots=True)
class Identity:
    id: str
    provider_id: str
    provider: str
    data: Mapping[str, Any]
    last_sign_in_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class User:
    """A row of auth.users, and its identities."""

    id: str
    aud: str
    role: str
    email: str
    phone: str
    password_hash: str | None
    email_confirmed_at: datetime | None
    last_sign_in_at: datetime | None
    app_metadata: Mapping[str, Any]
    user_metadata: Mapping[str, Any]
    created_at: datetime | None
    updated_at: datetime | None
    banned_until: datetime | None
    is_anonymous: bool
    identities: Sequence[Identity] = ()

    def shown(self) -> dict[str, Any]:
        """As every answer has it: no hash, no tokens; moments that did not come are left out."""
        moments = {
            "email_confirmed_at": self.email_confirmed_at,
            "confirmed_at": self.email_confirmed_at,
            "last_sign_in_at": self.last_sign_in_at,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "banned_until": self.banned_until,
        }
        return {
            "id": self.id,
            "aud": self.aud,
            "role": self.role,
            "email": self.email,
            "phone": self.phone,
            "app_metadata": dict(self.app_metadata),
            "user_metadata": dict(self.user_metadata),
            "identities": [_identity(self.id, identity) for identity in self.identities],
            "is_anonymous": self.is_anonymous,
            **_times(moments),
        }

    def claims(self, session: Session, issuer: str, issued: int, ttl_s: int) -> dict[str, Any]:
        """Of an access token for this user."""
        return {
            "iss": issuer,
            "sub": self.id,
            "aud": self.aud,
            "exp": issued + ttl_s,
            "iat": issued,
            "email": self.email,
            "phone": self.phone,
            "app_metadata": dict(self.app_metadata),
            "user_metadata": dict(self.user_metadata),
            "role": self.role,
            "aal": "aal1",
            "amr": [{"method": session.method, "timestamp": int(session.entered_at.timestamp())}],
            "session_id": session.id,
            "is_anonymous": self.is_anonymous,
        }


@dataclass(frozen=True, slots=True)
class Session:
    """method: how its user came in, at `entered_at`. refresh_token: the active one."""

    id: str
    method: str
    entered_at: datetime
    refresh_token: str


def session_answer(user: User, session: Session, token: str, issued: int, ttl_s: int) -> dict[str, Any]:
    """What a signup, a login and a refresh answer."""
    return {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": ttl_s,
        "expires_at": issued + ttl_s,
        "refresh_token": session.refresh_token,
        "user": user.shown(),
    }


def settings() -> dict[str, Any]:
    """What this Auth can: addresses are confirmed without a mail, and nobody else vouches for a user."""
    others = (
        *("apple", "azure", "bitbucket", "discord", "facebook", "figma", "fly", "github", "gitlab", "google"),
        *("kakao", "keycloak", "linkedin", "linkedin_oidc", "notion", "phone", "slack", "slack_oidc"),
        *("snapchat", "spotify", "twitch", "twitter", "workos", "zoom"),
    )
    return {
        "external": {"anonymous_users": True, "email": True, **dict.fromkeys(others, False)},
        "disable_signup": False,
        "mailer_autoconfirm": True,
        "phone_autoconfirm": False,
        "sms_provider": "",
        "saml_enabled": False,
        "saml_private_key_next_configured": False,
        "passkeys_enabled": False,
    }


def _identity(user_id: str, identity: Identity) -> dict[str, Any]:
    moments = {
        "last_sign_in_at": identity.last_sign_in_at,
        "created_at": identity.created_at,
        "updated_at": identity.updated_at,
    }
    return {
        "identity_id": identity.id,
        "id": identity.provider_id,
        "user_id": user_id,
        "identity_data": dict(identity.data),
        "provider": identity.provider,
        "email": identity.data.get("email", ""),
        **_times(moments),
    }


def _times(moments: Mapping[str, datetime | None]) -> dict[str, str]:
    return {
        name: moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        for name, moment in moments.items()
        if moment is not None
    }
