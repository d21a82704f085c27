"""Why a question of a stranger is not answered. The text is shown to them; the rest is for programs."""

from registry.domain.rounds import InvalidRequest, RegistryError


class InvalidField(InvalidRequest):
    """One field of a question is wrong; `field` is its path."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class UnknownResource(RegistryError):
    """There is nothing with that name; the text says what there is. `kind`: 'model', 'branch', 'alias', 'file'."""

    def __init__(self, kind: str, name: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.name = name


class NotOffered(RegistryError):
    """This registry is not set up to do that; the text says what is missing."""


class NotAdmitted(RegistryError):
    """The caller may not ask here."""


class TooMuch(RegistryError):
    """More than one caller may ask for at a time. `retry_seconds`: when to try again; none: it does not help."""

    def __init__(self, text: str, retry_seconds: float | None = None) -> None:
        super().__init__(text)
        self.retry_seconds = retry_seconds


class TookTooLong(RegistryError):
    """The answer took longer than one may take."""
