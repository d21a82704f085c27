"""Accounts elsewhere that people sign in with: OpenID Connect, and OAuth 2 with a page that tells who it is."""

import asyncio
import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from kit.logs import get_logger

from gateway.problems import Problem
from gateway.provider_settings import Provider
from gateway.stores.people import Vouched

log = get_logger(__name__)

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""With a public key. 'none' and those of a shared secret are not among them."""
METADATA_SECONDS = 3600
TIMEOUT_SECONDS = 10
LEEWAY_SECONDS = 60
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a provider answers."""

    authorize: str
    token: str
    keys: str | None
    person: str | None


class Wire:
    """Speaks with one provider. Raises Problem when it cannot be reached or does not vouch for anybody."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._addresses: Addresses | None = None
        self._asked = 0.0
        self._lock = asyncio.Lock()

    async def authorize_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to be asked."""
        addresses = await self._where()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.provider.scope,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | ({"nonce": nonce} if self.provider.issuer else {})
        return f"{addresses.authorize}{'&' if '?' in addresses.authorize else '?'}{urlencode(query)}"

    async def vouched(self, redirect_uri: str, code: str, nonce: str, verifier: str) -> Vouched:
        """Who came back with this code."""
        addresses = await self._where()
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, headers={"accept": "application/json"}) as client:
                token = await self._exchange(client, addresses, redirect_uri, code, verifier)
                if addresses.keys is not None:
                    keys = KeySet.import_key_set(await _json(client, addresses.keys))
                    claims = self._claims(str(token["id_token"]), keys, nonce)
                else:
                    bearer = {"authorization": f"Bearer {token['access_token']}"}
                    claims = await _json(client, str(addresses.person), bearer)
        except (JoseError, httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("provider-did-not-vouch", provider=self.provider.id, error=repr(error)[:300])
            raise _no_word(self.provider) from error
        return self._person(claims)

    async def _exchange(
        self, client: httpx.AsyncClient, addresses: Addresses, redirect_uri: str, code: str, verifier: str
    ) -> dict[str, Any]:
        """The code for tokens. Raises ValueError when the provider refuses, with its words."""
        answer = await client.post(
            addresses.token,
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "client_id": self.provider.client_id,
                "client_secret": self.provider.client_secret.get_secret_value(),
                "code_verifier": verifier,
            },
        )
        token = answer.json()
        # GitHub refuses with 200 and an error in the body.
        if answer.is_error or "error" in token:
            raise ValueError(f"{answer.status_code}: {token.get('error')}")
        return dict(token)

    def _claims(self, id_token: str, keys: KeySet, nonce: str) -> dict[str, Any]:
        """What the ID token says, once its signature, sender, receiver, time and nonce have been looked at."""
        decoded = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": str(self.provider.issuer)},
            aud={"essential": True, "value": self.provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        rules.validate(decoded.claims)
        return dict(decoded.claims)

    def _person(self, claims: dict[str, Any]) -> Vouched:
        subject = claims.get("sub" if self.provider.issuer else self.provider.subject_member)
        if isinstance(subject, bool) or not isinstance(subject, str | int) or not str(subject):
            raise _no_word(self.provider)
        given, family = claims.get("given_name"), claims.get("family_name")
        full = " ".join(part for part in (given, family) if isinstance(part, str) and part)
        names = (claims.get("name"), full, claims.get("login"))
        name = next((one for one in names if isinstance(one, str) and one and one.isprintable()), "")
        # One that the provider has not verified could be anybody's.
        email = claims.get("email") if claims.get("email_verified") is True else ""
        return Vouched(
            self.provider.id, str(subject)[:255], name.strip()[:NAME_LENGTH], email if isinstance(email, str) else ""
        )

    async def _where(self) -> Addresses:
        provider = self.provider
        if provider.issuer is None:
            return Addresses(str(provider.authorize_url), str(provider.token_url), None, provider.person_url)
        async with self._lock:
            if self._addresses is None or time.monotonic() - self._asked > METADATA_SECONDS:
                self._addresses = await self._discovered(provider.issuer)
                self._asked = time.monotonic()
            return self._addresses

    async def _discovered(self, issuer: str) -> Addresses:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
                told = await _json(client, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if told["issuer"] != issuer:
                raise ValueError(f"it calls itself {told['issuer']!r}")
            return Addresses(told["authorization_endpoint"], told["token_endpoint"], told["jwks_uri"], None)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("provider-away", provider=self.provider.id, error=repr(error)[:300])
            raise Problem(
                503,
                "provider-away",
                "The other site does not answer",
                f"{self.provider.title} cannot be reached right now.",
                remedy="Try again in a few minutes, or sign in with your password.",
                headers={"retry-after": "60"},
            ) from error


async def _json(client: httpx.AsyncClient, url: str, headers: dict[str, str] | None = None) -> Any:
    answer = await client.get(url, headers=headers)
    answer.raise_for_status()
    return answer.json()


def _no_word(provider: Provider) -> Problem:
    return Problem(
        400,
        "not-vouched-for",
        "That did not work",
        f"{provider.title} did not tell us who you are.",
        remedy="Start again from the sign-in page.",
    )
