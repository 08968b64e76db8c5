"""Tokens of an OpenID Connect issuer: verified here, with the public keys that the issuer publishes."""

import asyncio
import logging
import time
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPException
from typing import Any, NamedTuple, get_args

import jwt
from pydantic import BaseModel

from .errors import IssuerUnavailable, NotAuthenticated
from .keys import Caller, Scope
from .settings import Settings
from .values import is_safe_url

ALGORITHMS: dict[str, list[str]] = {
    "RSA": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "EC": ["ES256", "ES384", "ES512"],
    "OKP": ["EdDSA"],
}
"""Ways to sign by the kind of key, all of them with a private key that only the issuer has: no HS256, and no `none`."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Scopes by name."""
LEEWAY_SECONDS = 30
"""How much the clocks of issuer and service may differ."""
FRESH_SECONDS = 600
"""How long the issuer's keys are taken for current; after that they are fetched again, while requests go on."""
LONGEST_SECONDS = 24 * 3600
"""How long they are used while the issuer does not answer. Somebody may keep it from telling that a key is lost."""
PAUSE_SECONDS = 10
"""Shortest time between two questions to the issuer, whatever tokens strangers send."""
FETCH_SECONDS = 5
"""How long the issuer may take to answer."""
MAX_BYTES = 2**20
"""Bytes of the largest answer of the issuer that is read."""
MAX_SUBJECT = 255
"""Characters of a subject, as OpenID Connect allows."""

log = logging.getLogger(__name__)


class PublicKey(NamedTuple):
    """A key that the issuer signs with."""

    key: Any
    """The key itself."""
    algorithms: list[str]
    """The ways to sign that it is good for."""


class Issuer:
    """The issuer of the settings, and what is known of its keys."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.oidc_issuer or ""
        self._audience = settings.oidc_audience
        self._claim = settings.oidc_scope_claim.split(".")
        self._meanings = settings.oidc_scopes or dict(zip(SCOPES, SCOPES, strict=True))
        self._keys: dict[str, PublicKey] = {}
        self._fetched = self._asked = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def caller(self, token: str) -> Caller:
        """Return who bears a token.

        Raises:
            NotAuthenticated: it is no token of this issuer for this service, or no longer.
            IssuerUnavailable: nobody can tell, because the issuer's keys are not known.

        """
        try:
            public = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                public.key,
                algorithms=public.algorithms,
                audience=self._audience,
                issuer=self._url,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "strict_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("This token has expired.") from None
        except (jwt.PyJWTError, ValueError, TypeError):  # what a hostile token holds may be of any type
            raise NotAuthenticated("This is no valid token of the issuer for this service.") from None
        if len(claims["sub"]) > MAX_SUBJECT:
            raise NotAuthenticated("The subject of this token is too long.")
        name = f"token:{claims['sub']}"
        return Caller(name, name, frozenset(self._scopes(claims)))

    def _scopes(self, claims: Any) -> Iterable[Scope]:
        """Return what the claims let their bearer do."""
        for part in self._claim:
            claims = claims.get(part) if isinstance(claims, dict) else None
        values = claims.split() if isinstance(claims, str) else claims if isinstance(claims, list) else ()
        return {self._meanings[value] for value in values if isinstance(value, str) and value in self._meanings}

    async def _key(self, kid: object) -> PublicKey:
        """Return the key with this id; without an id, the only one that there is."""
        if time.monotonic() - self._fetched > FRESH_SECONDS:
            await self._refresh(wait=not self._usable())
        if self._find(kid) is None:
            await self._refresh(wait=True)
        if not self._usable() or (self._find(kid) is None and self._asked > self._fetched):
            raise IssuerUnavailable("The issuer of tokens does not answer, so this token cannot be checked.")
        found = self._find(kid)
        if found is None:
            raise NotAuthenticated("This token is signed with a key that its issuer does not have.")
        return found

    def _usable(self) -> bool:
        """Tell whether keys are known that may still be used."""
        return bool(self._keys) and time.monotonic() - self._fetched <= LONGEST_SECONDS

    def _find(self, kid: object) -> PublicKey | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid) if isinstance(kid, str) else None

    async def _refresh(self, *, wait: bool) -> None:
        """Fetch the keys, once for all who ask, and not if that was tried just now."""
        if self._fetching is None or self._fetching.done():
            if time.monotonic() - self._asked < PAUSE_SECONDS:
                return
            self._asked = time.monotonic()
            self._fetching = asyncio.create_task(self._fetch())
        if wait:
            await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            keys = await asyncio.to_thread(read_keys, self._url)
        except (OSError, ValueError, HTTPException) as error:
            log.warning("the keys of the issuer %s cannot be fetched: %s", self._url, type(error).__name__)
            return
        self._keys = keys
        self._fetched = time.monotonic()


class _Discovery(BaseModel):
    """What is read of an issuer's description of itself."""

    issuer: str
    jwks_uri: str


class _KeySet(BaseModel):
    """What is read of an issuer's keys."""

    keys: list[dict[str, Any]]


def read_keys(issuer: str) -> dict[str, PublicKey]:
    """Ask an issuer for its public keys, by their ids.

    Raises:
        OSError: it does not answer.
        ValueError: it answers something else than OpenID Connect Discovery 1.0 and RFC 7517 say.

    """
    about = _Discovery.model_validate_json(_read(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
    if about.issuer != issuer or not is_safe_url(about.jwks_uri):
        raise ValueError("this is another issuer, or its keys are at an address that is not safe")
    keys = {}
    for described in _KeySet.model_validate_json(_read(about.jwks_uri)).keys:
        known = [name for name in ALGORITHMS.get(str(described.get("kty")), []) if described.get("alg") in {None, name}]
        if known and described.get("use", "sig") == "sig":
            with suppress(jwt.PyJWTError):  # of a kind that this service does not know; the others are good
                keys[str(described.get("kid"))] = PublicKey(jwt.PyJWK.from_dict(described).key, known)
    if not keys:
        raise ValueError("there are no keys")
    return keys


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Go nowhere else: an issuer is at its address, or it is not the one."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follow nothing."""


def _read(url: str) -> bytes:
    """Return what is at an address."""
    deadline = time.monotonic() + FETCH_SECONDS
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked by callers
    content = b""
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=FETCH_SECONDS) as answer:
        while piece := answer.read1(2**16):
            content += piece
            if len(content) > MAX_BYTES or time.monotonic() > deadline:
                raise ValueError("the answer is too long, or takes too long")
    return content
