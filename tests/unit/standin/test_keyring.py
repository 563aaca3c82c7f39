"""Which key a token is checked with, what Auth shows of the keys, and what is no key at all."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from migctl.stack.keys import signing_key
from migctl.stack.standin.auth import BadToken, Tokens
from migctl.stack.standin.keyring import Keyring, NoKey, parse

SECRET = "a secret that is long enough for HS256"
CLAIMS = {"role": "authenticated", "exp": 2000}
EC: dict[str, Any] = json.loads(signing_key())
OTHER: dict[str, Any] = json.loads(signing_key())


def rsa_key(kid: str) -> dict[str, Any]:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    document: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(made, as_dict=True)
    return {**document, "kid": kid, "alg": "RS256", "use": "sig"}


RSA = rsa_key("rsa")


def signed(key: dict[str, Any], kid: str | None, algorithm: str | None = None) -> str:
    found = jwt.PyJWK({name: value for name, value in key.items() if name != "key_ops"})
    headers = {"kid": kid} if kid is not None else None
    return jwt.encode(CLAIMS, found.key, algorithm or key["alg"], headers=headers)


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
def test_a_token_that_auth_signs_is_good_for_rest_and_realtime_and_names_its_key(key: dict[str, Any]) -> None:
    tokens = Tokens(Keyring(None, {}, [key]))
    token = tokens.keyring.sign(CLAIMS)
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["kid"]) == (key["alg"], key["kid"])
    assert tokens.for_rest(token, 1000).role == tokens.for_realtime(token, 1000).role == "authenticated"


def test_without_a_signing_key_auth_signs_with_the_shared_secret() -> None:
    token = Keyring(SECRET).sign(CLAIMS)
    assert jwt.decode(token, SECRET, ["HS256"], options={"verify_exp": False}) == CLAIMS
    with pytest.raises(NoKey):
        Keyring(None, {"sb_publishable_1": "anon"}).sign(CLAIMS)


def test_both_are_good_where_a_project_still_has_a_shared_secret() -> None:
    tokens = Tokens(Keyring(SECRET, {}, [EC]))
    assert tokens.for_realtime(jwt.encode(CLAIMS, SECRET, "HS256"), 1000).role == "authenticated"
    assert (
        tokens.for_realtime(jwt.encode(CLAIMS, SECRET, "HS256", headers={"kid": "x"}), 1000).role
        == "authenticated"
    )
    assert tokens.for_realtime(signed(EC, EC["kid"]), 1000).role == "authenticated"


@pytest.mark.parametrize(
    ("token", "flaw", "kid"),
    [
        (signed(OTHER, EC["kid"]), "signature", None),
        (signed(OTHER, OTHER["kid"]), "signer", OTHER["kid"]),
        (signed(EC, None), "signer", None),
        (signed(RSA, EC["kid"]), "signer", EC["kid"]),
        (jwt.encode(CLAIMS, SECRET, "HS256", headers={"kid": EC["kid"]}), "signer", None),
        (jwt.encode(CLAIMS, SECRET, "HS256"), "signer", None),
        (jwt.encode(CLAIMS, "", "none"), "signer", None),
    ],
    ids=["forged", "unknown kid", "no kid", "other type", "HS with our kid", "HS", "none"],
)
def test_a_token_of_another_key_is_refused(token: str, flaw: str, kid: str | None) -> None:
    with pytest.raises(BadToken) as found:
        Tokens(Keyring(None, {"sb_publishable_1": "anon"}, [EC])).for_realtime(token, 1000)
    assert (found.value.flaw, found.value.kid) == (flaw, kid)


def test_auth_shows_the_public_halves_and_nothing_else() -> None:
    keyring = Keyring(SECRET, {"sb_secret_1": "service_role"}, [EC, RSA])
    keys = keyring.jwks()["keys"]
    assert [key["kid"] for key in keys] == [EC["kid"], "rsa"]
    assert all(key["key_ops"] == ["verify"] and key["use"] == "sig" for key in keys)
    assert not {name for key in keys for name in key} & {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
    assert jwt.PyJWK(keys[0]).key.verify is not None
    assert jwt.decode(
        signed(EC, EC["kid"]), jwt.PyJWK(keys[0]), ["ES256"], options={"verify_exp": False}
    ) == (CLAIMS)


def test_a_key_whose_public_half_alone_is_known_verifies_and_does_not_sign() -> None:
    public = {name: value for name, value in EC.items() if name != "d"}
    keyring = Keyring(None, {}, [public, OTHER])
    assert Tokens(keyring).for_rest(signed(EC, EC["kid"]), 1000).role == "authenticated"
    assert jwt.get_unverified_header(keyring.sign(CLAIMS))["kid"] == OTHER["kid"]


@pytest.mark.parametrize(
    ("api_keys", "signing_keys"),
    [
        ("[]", None),
        ('{"sb_publishable_1": "postgres"}', None),
        ('{"eyJ": "anon"}', None),
        ("{", None),
        (None, "{}"),
        (None, "[1]"),
        (None, json.dumps([{**EC, "kid": ""}])),
        (None, json.dumps([{**EC, "x": "AA"}])),
        (None, json.dumps([{**EC, "d": "AA", "x": None}])),
        (None, json.dumps([{**EC, "alg": "RS256"}])),
        (None, json.dumps([{"kty": "oct", "k": "c2VjcmV0", "kid": "1"}])),
    ],
    ids=list("abcdefghijk"),
)
def test_what_is_no_key_is_refused_without_being_shown(
    api_keys: str | None, signing_keys: str | None
) -> None:
    with pytest.raises(ValueError, match=r".") as found:
        parse(None, api_keys, signing_keys)
    assert EC["d"] not in str(found.value)
