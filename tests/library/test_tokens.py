import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sample.ml import Model
from sample.settings import Settings

from mlapi import tokens
from mlapi.errors import IssuerUnavailable, NotAuthenticated
from mlapi.keys import Caller
from mlapi.server import Refused, check_access
from mlapi.tokens import Issuer

from rig.app import create_app
from rig.issuer import RSA, Server, issuing, public, raw

AUDIENCE = "the-service"
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an issuer on a busy machine answer late, and a test take long."""
    monkeypatch.setattr(tokens, "FETCH_SECONDS", 60)
    monkeypatch.setattr(tokens, "PAUSE_SECONDS", 3600)


@pytest.fixture
def server() -> Iterator[Server]:
    """An issuer with one key."""
    with issuing() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    """Settings that name the issuer."""
    return settings.model_copy(update={"oidc_issuer": server.url, "oidc_audience": AUDIENCE})


def claims(server: Server, **changes: Any) -> dict[str, Any]:
    found = {"iss": server.url, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 300, "scope": "openid predict"}
    return {name: value for name, value in (found | changes).items() if value is not None}


def token(server: Server, key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", **changes: Any) -> str:
    return jwt.encode(claims(server, **changes), key, algorithm, headers={"kid": kid} if kid else None)


def caller(issuer: Issuer, *given: str) -> Caller:
    async def ask() -> list[Caller]:
        return [await issuer.caller(one) for one in given]

    return asyncio.run(ask())[-1]


@contextmanager
def serving(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def test_a_token_is_good_for_its_scopes_and_its_bearer_has_a_name(server: Server, settings: Settings) -> None:
    """Checklist 24 and 25."""
    with serving(settings) as client:
        for scope, path, status in (
            ("predict", "/models", 200),
            ("predict", "/jobs", 403),
            ("train", "/jobs", 200),
            ("openid", "/models", 403),
            ("admin", "/jobs", 200),
        ):
            headers = {"Authorization": f"Bearer {token(server, scope=scope)}"}
            assert client.get(path, headers=headers).status_code == status, (scope, path)
        assert client.get("/models").status_code == 401
    assert caller(Issuer(settings), token(server)) == Caller("token:ann", "token:ann", frozenset({"predict"}))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "RS512"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")],
    ids=["RS256", "RS512", "PS256", "ES256", "EdDSA"],
)
def test_every_way_to_sign_with_a_private_key_is_known(
    server: Server, settings: Settings, key: Any, algorithm: str
) -> None:
    server.publish({"rsa": RSA, "it": key})
    assert caller(Issuer(settings), token(server, key, algorithm, "it")).name == "token:ann"


def forged(server: Server) -> dict[str, str]:
    """Return tokens that nobody may believe, by what is wrong with them."""
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    good = token(server)
    head, body, signature = good.split(".")
    header = {"alg": "RS256", "kid": "rsa"}
    return {
        "alg none": raw({"alg": "none", "kid": "rsa"}, claims(server)),
        "alg None": raw({"alg": "None", "kid": "rsa"}, claims(server)),
        "no alg": raw({"kid": "rsa"}, claims(server)),
        "HS256 with the public key": raw({"alg": "HS256", "kid": "rsa"}, claims(server), pem),
        "wrong audience": token(server, aud="another-service"),
        "no audience": token(server, aud=None),
        "wrong issuer": token(server, iss="https://evil.example"),
        "no issuer": token(server, iss=None),
        "expired": token(server, exp=time.time() - 60),
        "no expiry": token(server, exp=None),
        "expiry of another type": raw(header, claims(server, exp=[1])),
        "not yet": token(server, nbf=time.time() + 600),
        "no subject": token(server, sub=None),
        "subject of another type": token(server, sub="x") and raw(header, claims(server, sub={"a": 1})),
        "long subject": token(server, sub="x" * 256),
        "unknown kid": token(server, kid="another"),
        "kid of another type": raw({"alg": "RS256", "kid": ["rsa"]}, claims(server)),
        "a kid that leads elsewhere": token(server, OTHER, kid="../../dev/null"),
        "another's key": token(server, OTHER),
        "unknown crit": jwt.encode(claims(server), RSA, "RS256", headers={"kid": "rsa", "crit": ["x"], "x": 1}),
        "key in the header": jwt.encode(
            claims(server), OTHER, "RS256", headers={"kid": "rsa", "jwk": public(OTHER, "rsa")}
        ),
        "key at an address": jwt.encode(
            claims(server), OTHER, "RS256", headers={"kid": "rsa", "jku": f"{server.url}/evil"}
        ),
        "changed claims": f"{head}.{raw({}, claims(server, scope='admin')).split('.')[1]}.{signature}",
        "no signature": f"{head}.{body}.",
        "not JSON": "e30.e.x",
        "a list": raw(header, []),
        "nonsense": "a.b.c",
        "dots": "..",
    }


def test_no_forged_token_is_believed(server: Server, settings: Settings) -> None:
    """Checklist 25."""
    with serving(settings) as client:
        good = {"Authorization": f"Bearer {token(server)}"}
        assert client.get("/models", headers=good).status_code == 200
        for what, evil in forged(server).items():
            answer = client.get("/models", headers={"Authorization": f"Bearer {evil}"})
            assert answer.status_code == 401, what
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert evil not in answer.text
    assert set(server.asked) == {"/.well-known/openid-configuration", "/keys"}


def test_a_token_of_many_is_refused_in_time_and_asks_the_issuer_once(server: Server, settings: Settings) -> None:
    """Checklist 25: tokens with invented kids do not make the service ask for each."""
    with serving(settings) as client:
        client.get("/models", headers={"Authorization": f"Bearer {token(server)}"})
        asked = len(server.asked)
        for number in range(50):
            headers = {"Authorization": f"Bearer {token(server, kid=f'invented{number}')}"}
            assert client.get("/models", headers=headers).status_code == 401
    assert len(server.asked) == asked == 2


def test_a_new_key_of_the_issuer_is_learnt(server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "PAUSE_SECONDS", 0)
    issuer = Issuer(settings)
    caller(issuer, token(server))
    server.publish({"new": OTHER})
    assert caller(issuer, token(server, OTHER, kid="new")).name == "token:ann"
    with pytest.raises(NotAuthenticated):
        caller(issuer, token(server))


def test_with_the_issuer_gone_known_keys_are_good_and_others_unavailable(
    server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 25."""
    monkeypatch.setattr(tokens, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(tokens, "FRESH_SECONDS", 0)
    with serving(settings) as client:
        server.status = 500
        unknown = client.get("/models", headers={"Authorization": f"Bearer {token(server)}"})
        assert (unknown.status_code, unknown.headers["Retry-After"]) == (503, "1")
        assert unknown.json()["type"].endswith("#issuer-unavailable")
        server.status = 200
        assert client.get("/models", headers={"Authorization": f"Bearer {token(server)}"}).status_code == 200
        server.status = 500
        for _ in range(3):
            assert client.get("/models", headers={"Authorization": f"Bearer {token(server)}"}).status_code == 200
        other = {"Authorization": f"Bearer {token(server, OTHER, kid='new')}"}
        assert client.get("/models", headers=other).status_code == 503
        monkeypatch.setattr(tokens, "LONGEST_SECONDS", 0)
        assert client.get("/models", headers={"Authorization": f"Bearer {token(server)}"}).status_code == 503


def test_an_issuer_that_does_not_answer_keeps_no_other_caller_waiting(settings: Settings) -> None:
    """Checklist 25: the keys are fetched beside the event loop."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        issuer = Issuer(settings.model_copy(update={"oidc_issuer": f"http://127.0.0.1:{silent.getsockname()[1]}"}))

        async def ask() -> None:
            waiting = [asyncio.create_task(issuer.caller(raw({"alg": "RS256"}, {}))) for _ in range(20)]
            asked, _ = await asyncio.to_thread(silent.accept)
            await asyncio.sleep(0)  # here others would be answered
            assert not any(task.done() for task in waiting)
            asked.close()
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(one, IssuerUnavailable) for one in found)

        silent.settimeout(120)
        asyncio.run(ask())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "RSA"}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}]}',
        b" " * (2**20 + 1),
        b"\xff",
        b"[" * 100_000,
    ],
    ids=range(12),
)
@pytest.mark.parametrize("path", ["/keys", "/.well-known/openid-configuration"])
def test_an_issuer_that_answers_nonsense_is_unavailable(
    server: Server, settings: Settings, path: str, answer: bytes
) -> None:
    server.answers[path] = answer
    with pytest.raises(IssuerUnavailable):
        caller(Issuer(settings), token(server))


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "http://evil.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
)
def test_an_issuer_that_points_elsewhere_is_not_followed(
    server: Server, settings: Settings, change: dict[str, Any]
) -> None:
    server.publish({"rsa": RSA}, **change)
    with pytest.raises(IssuerUnavailable):
        caller(Issuer(settings), token(server))


def test_a_redirect_of_the_issuer_is_not_followed(server: Server, settings: Settings) -> None:
    server.status = 302
    with pytest.raises(IssuerUnavailable):
        caller(Issuer(settings), token(server))
    assert "/elsewhere" not in server.asked


@pytest.mark.parametrize(
    ("claim", "meanings", "found", "expected"),
    [
        ("scope", {}, {"scope": "predict train x"}, {"predict", "train"}),
        ("scope", {}, {"scope": ["admin", 1, None]}, {"admin"}),
        ("scope", {}, {"scope": {"admin": 1}}, set()),
        ("scope", {}, {"scope": None}, set()),
        ("roles", {"data-team": "train"}, {"roles": ["data-team", "train", "admin"]}, {"train"}),
        ("realm.roles", {"ops": "admin"}, {"realm": {"roles": ["ops"]}}, {"admin"}),
        ("realm.roles", {"ops": "admin"}, {"realm": "ops"}, set()),
    ],
)
def test_a_claim_says_what_the_bearer_may_do(
    settings: Settings, server: Server, *, claim: str, meanings: Any, found: Any, expected: set[str]
) -> None:
    settings = settings.model_copy(update={"oidc_scope_claim": claim, "oidc_scopes": meanings})
    assert caller(Issuer(settings), token(server, **({"scope": None} | found))).scopes == expected


@pytest.mark.parametrize("url", ["http://login.example.com", "file:///x", "login.example.com", "https://", "x"])
def test_an_issuer_at_an_address_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="must be an https address"):
        Settings(oidc_issuer=url, oidc_audience=AUDIENCE)
    with pytest.raises(ValidationError, match="go together"):
        Settings(oidc_issuer="https://login.example.com")


def test_with_an_issuer_a_public_address_needs_no_api_key(settings: Settings) -> None:
    assert settings.needs_key
    check_access(settings.model_copy(update={"host": "0.0.0.0"}))
    with pytest.raises(Refused):
        check_access(settings.model_copy(update={"host": "0.0.0.0", "oidc_issuer": None}))
