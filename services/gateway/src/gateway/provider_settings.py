"""Accounts elsewhere that people sign in with: what settings say of them."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

KNOWN: dict[str, dict[str, Any]] = {
    "orcid": {"title": "ORCID", "issuer": "https://orcid.org", "scope": "openid"},
    "github": {
        "title": "GitHub",
        "authorize_url": "https://github.com/login/oauth/authorize",
        "token_url": "https://github.com/login/oauth/access_token",
        "person_url": "https://api.github.com/user",
        "subject_member": "id",
        "scope": "read:user",
    },
}
"""What need not be said of them in settings."""


class Provider(BaseModel):
    """One of POTLUCK_GATEWAY_PROVIDERS, e.g. `[{"id": "orcid", "client_id": "APP-…", "client_secret": "…"}]`.

    With `issuer` it is OpenID Connect and everything else is asked there; without, all three addresses are needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,30}$", description="part of addresses; never changed: accounts hang on it"
    )
    title: str = Field(min_length=1, max_length=40, description="what the button says")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    scope: str = "openid profile email"
    issuer: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    person_url: str | None = Field(default=None, description="answers with JSON about the person")
    subject_member: str = Field(default="sub", description="member of that JSON that never changes for a person")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        return KNOWN.get(str(values.get("id")), {}) | values if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.issuer is None and not (self.authorize_url and self.token_url and self.person_url):
            raise ValueError(f"provider {self.id!r} needs issuer, or authorize_url, token_url and person_url")
        return self
