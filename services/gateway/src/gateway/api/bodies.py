"""What requests carry, as the API's description shows it. The use cases check every field and say what is wrong."""

from uuid import UUID

from contracts.base import Frozen, LevelOfTheory
from pydantic import Field

from gateway.views.datasets import Scope


class NewAccount(Frozen):
    email: str = Field(max_length=254)
    name: str = Field(min_length=1, max_length=100, description="as it should be credited")
    password: str = Field(min_length=8, max_length=1000)


class NewSession(Frozen):
    email: str
    password: str


class NewToken(Frozen):
    email: str
    password: str
    name: str = Field(min_length=1, max_length=100, description="what will use it, e.g. 'laptop'")
    scopes: tuple[Scope, ...] | None = Field(default=None, description="what it may do; none: everything")
    expires_days: int | None = Field(default=None, description="after how many days it ends; null: never")


class NewProgramSignIn(Frozen):
    name: str = Field(min_length=1, max_length=100, description="what asks, e.g. 'potluck on laptop'")
    scopes: tuple[Scope, ...] = Field(default=("read", "contribute"), description="what it asks to do")
    expires_days: int | None = Field(default=90, description="after how many days its token ends; null: never")


class ProgramSecret(Frozen):
    secret: str = Field(description="of the answer to POST /api/v1/sign-ins")


class NewProfile(Frozen):
    """What is absent stays as it is."""

    name: str | None = Field(default=None, min_length=1, max_length=100, description="as it should be credited")
    mail_when_done: bool | None = Field(default=None, description="a mail when a stage of yours ends")


class NewPassword(Frozen):
    password: str = Field(description="the present one")
    new_password: str = Field(min_length=8, max_length=1000)


class NewAuthor(Frozen):
    name: str = Field(min_length=1, max_length=200)
    orcid: str | None = Field(default=None, description="ORCID iD, e.g. 0000-0002-1825-0097")


class NewDataset(Frozen):
    upload_id: UUID = Field(description="of an upload of yours that is complete")
    dataset_id: UUID | None = Field(default=None, description="of yours, of which this becomes the next version")
    name: str = Field(min_length=1, max_length=200)
    authors: tuple[str | NewAuthor, ...] = Field(min_length=1, description="in the order of credit")
    dpa: bool = Field(default=True, description="false: it is only shared, and nothing is trained on it")
    format: str = Field(description="of /api/v1/formats, or 'detect'; may be absent of what is only shared")
    licence: str = Field(description="SPDX identifier, of /api/v1/licences")
    private: bool = False
    description: str = Field(default="", description="Markdown")
    level_of_theory: LevelOfTheory | None = Field(default=None, description="where the files do not tell")
    agreement: bool | str = Field(
        description="true, or the version that was read: the contributor agreement in force was agreed to"
    )
    sha256: str | None = Field(default=None, description="of the archive; refused when another one arrived")


class NewPublication(Frozen):
    """Of a private dataset that becomes public. What is absent stays as it is."""

    licence: str | None = Field(default=None, description="SPDX identifier, of /api/v1/licences")
    authors: tuple[str | NewAuthor, ...] | None = Field(default=None, description="in the order of credit")
    description: str | None = Field(default=None, description="Markdown")
    agreement: bool | str = Field(description="as of a new dataset")


class Withdrawal(Frozen):
    reason: str = Field(default="", max_length=2000, description="for operators")


class NewPrediction(Frozen):
    structure: str = Field(description="one structure as text: POSCAR, CIF, xyz or extended xyz")
    branch: str | None = Field(default=None, description="that is to answer; none: the one that knows it best")


class ProblemDetails(Frozen):
    """An answer that is an error (RFC 9457, application/problem+json): what happened, where, and what to do."""

    type: str = Field(description="urn:potluck:problem:<rule>: stable, for programs")
    title: str
    status: int
    detail: str = Field(description="what happened, in words")
    field: str | None = Field(default=None, description="which field of the request is wrong")
    remedy: str | None = Field(default=None, description="what to do")
    errors: "tuple[FieldProblem, ...]" = Field(default=(), description="every wrong field, when several are")


class FieldProblem(Frozen):
    field: str
    detail: str
    remedy: str
