"""Tokens that are signed here: with the project's shared secret, or with a key of the operator's."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from migctl.config import Target
from migctl.errors import Usage
from migctl.redaction import OURS
from migctl.target.signing import Signer, need_signer, signer_of
from migctl.target.tokens import sender_token
from tests.kit.entries import START

SECRET = "a secret of thirty-two characters or more"


def es256(kid: str = "k1") -> dict[str, Any]:
    """A JWK as `supabase gen signing-key --algorithm ES256` writes it."""
    jwk: dict[str, Any] = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(
        ec.generate_private_key(ec.SECP256R1()), as_dict=True
    )
    return {**jwk, "kid": kid, "use": "sig", "key_ops": ["sign", "verify"], "alg": "ES256", "ext": True}


def rs256(kid: str = "r1") -> dict[str, Any]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk: dict[str, Any] = RSAAlgorithm.to_jwk(private, as_dict=True)
    return {**jwk, "kid": kid, "use": "sig", "key_ops": ["sign", "verify"], "alg": "RS256", "ext": True}


def public(jwk: dict[str, Any]) -> jwt.PyJWK:
    return jwt.PyJWK(
        {key: value for key, value in jwk.items() if key not in ("d", "p", "q", "dp", "dq", "qi", "key_ops")}
    )


@pytest.mark.parametrize("make", [es256, rs256])
@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_a_token_is_verified_by_the_public_half_that_its_kid_names(make: Any, form: str) -> None:
    jwk = make()
    text = json.dumps(
        [{"kty": "EC", "kid": "public"}, jwk] if form == "list" else jwk,
        indent=2 if form == "lines" else None,
    )
    minted = Signer.of_jwk(text).mint("authenticated", 60, now=START)
    header = jwt.get_unverified_header(minted.text)
    assert (header["kid"], header["alg"]) == (jwk["kid"], jwk["alg"])
    claims = jwt.decode(
        minted.text,
        public(jwk),
        [jwk["alg"]],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["role"] == "authenticated"
    assert claims["exp"] == int(minted.ends_at.timestamp()) == int(START.timestamp()) + 60


def test_of_a_list_the_key_that_signs_is_taken() -> None:
    verifies, signs = {**es256("old"), "key_ops": ["verify"]}, es256("new")
    minted = Signer.of_jwk(json.dumps([verifies, signs])).mint("authenticated", 60)
    assert jwt.get_unverified_header(minted.text)["kid"] == "new"


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        "null",
        json.dumps({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "k"}),
        json.dumps({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "Pl4nted-Priv4te", "kid": "k"}),
        json.dumps({"kty": "what", "d": "Pl4nted-Priv4te", "kid": "k"}),
        json.dumps({"kty": ["EC"], "d": {"Pl4nted-Priv4te": 1}, "kid": "k"}),
        json.dumps({"kty": "oct", "k": "Pl4nted-Priv4te", "alg": "HS999", "kid": "k"}),
        json.dumps({"kty": "EC", "d": "Pl4nted-Priv4te"}),
        "Pl4nted-Priv4te",
    ],
    ids=["no json", "none", "empty", "null", "public", "no point", "no kind", "wrong types", "no algorithm", "no kid", "word"],
)  # fmt: skip
def test_what_can_not_sign_is_refused_and_never_quoted(text: str) -> None:
    with pytest.raises(Usage, match="SUPABASE_SIGNING_KEY") as refused:
        Signer.of_jwk(text)
    assert "Pl4nted" not in str(refused.value)


def test_each_private_part_of_a_key_is_hidden_from_then_on() -> None:
    jwk = rs256()
    Signer.of_jwk(json.dumps(jwk))
    shown = OURS.redact(" ".join(jwk[part] for part in ("d", "p", "q", "dp", "dq", "qi")))
    assert set(shown.split()) == {"***"}


def test_the_shared_secret_counts_before_a_signing_key() -> None:
    key = json.dumps(es256())
    both = signer_of(Target("http://x", jwt_secret=SECRET, signing_key=key))
    assert both is not None
    assert both.name == "SUPABASE_JWT_SECRET"
    alone = need_signer(Target("http://x", signing_key=key))
    assert alone.name == "SUPABASE_SIGNING_KEY"
    assert signer_of(Target("http://x")) is None
    with pytest.raises(Usage, match="SUPABASE_SIGNING_KEY"):
        need_signer(Target("http://x"))


def test_a_sender_without_a_signer_joins_with_the_key_that_its_socket_has() -> None:
    assert sender_token(Target("http://x", service_role_key="sb_secret_12345678")) == "sb_secret_12345678"
    jwk = es256()
    minted = sender_token(
        Target("http://x", service_role_key="sb_secret_12345678", signing_key=json.dumps(jwk))
    )
    assert jwt.decode(minted, public(jwk), ["ES256"])["role"] == "service_role"
