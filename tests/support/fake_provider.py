"""An OpenID provider and an OAuth one to sign in with, on the loopback: what they vouch for is told beforehand."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT = "potluck"
SECRET = "a secret of the client"


@dataclass
class FakeProvider:
    """Lets everybody in as `person`. What a test changes here, it answers from then on."""

    url: str
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "0000-0002-1825-0097", "name": "Mei Lin"})
    claims: dict[str, Any] = field(default_factory=dict)
    """Put over those of the ID token."""
    refuses: bool = False
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signs_with: RSAKey | None = None
    asked: dict[str, dict[str, str]] = field(default_factory=dict)

    async def metadata(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        )

    async def keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        """The person says yes at once."""
        query = dict(request.query_params)
        code = f"code-{len(self.asked)}"
        self.asked[code] = query
        back = {"error": "access_denied"} if self.refuses else {"code": code}
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back | {'state': query['state']})}")

    async def token(self, request: Request) -> Response:
        """A code is worth something once, to the client that it was given to, with the verifier of its challenge."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        query = self.asked.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            query is None
            or (form["client_id"], form["client_secret"]) != (CLIENT, SECRET)
            or query["redirect_uri"] != form["redirect_uri"]
            or query["code_challenge"] != challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        told = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": query.get("nonce", "")}
        token = jwt.encode(
            {"alg": "RS256", "kid": "one"}, told | self.person | self.claims, self.signs_with or self.key
        )
        return JSONResponse({"access_token": "of the person", "token_type": "bearer", "id_token": token})

    async def who(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer of the person":
            return JSONResponse({"message": "Bad credentials"}, 401)
        return JSONResponse(self.person)


@asynccontextmanager
async def fake_provider(port: int) -> AsyncIterator[FakeProvider]:
    provider = FakeProvider(f"http://127.0.0.1:{port}")
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.metadata),
            Route("/keys", provider.keys),
            Route("/authorize", provider.authorize),
            Route("/token", provider.token, methods=["POST"]),
            Route("/user", provider.who),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield provider
    finally:
        server.should_exit = True
        await task
