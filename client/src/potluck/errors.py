"""What can go wrong, in words: what happened, where, and what to do. Each kind has its exit code."""

import errno
from enum import IntEnum

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of the system when what is written does not fit."""


class Exit(IntEnum):
    """Exit codes of the `potluck` command (2 is a wrong command line)."""

    OK = 0
    FAILED = 1
    NOT_ALLOWED = 3
    NEEDS_YOU = 4
    UNREACHABLE = 5
    REFUSED = 6
    STOPPED = 130


class PotluckError(Exception):
    """Something that a person can read and act on."""

    exit_code = Exit.FAILED

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.what} ({self.where})" if self.where else self.what
        return f"{head}\n{self.remedy}" if self.remedy else head

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {"what": self.what, "where": self.where, "remedy": self.remedy}


class Unreachable(PotluckError):
    """The server does not answer, or the connection keeps breaking."""

    exit_code = Exit.UNREACHABLE


class UnexpectedAnswer(PotluckError):
    """The server said something that this client does not understand."""


class LocalFileError(PotluckError):
    """A file or folder on this machine is not as it has to be."""


class Corrupt(PotluckError):
    """Bytes that arrived are not the bytes that were promised."""


class NotSignedIn(PotluckError):
    """No token for this server."""

    exit_code = Exit.NOT_ALLOWED


class Problem(PotluckError):
    """The server refused a request and said why (RFC 9457, application/problem+json)."""

    exit_code = Exit.REFUSED

    def __init__(
        self,
        *,
        status: int,
        kind: str,
        title: str,
        detail: str,
        field: str = "",
        remedy: str = "",
        where: str = "",
        location: str = "",
    ) -> None:
        what = f"{title}: {detail}" if detail and detail != title else title
        super().__init__(what, where=f"field {field}" if field else where, remedy=remedy)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.field = field
        self.location = location
        if status in (401, 403):
            self.exit_code = Exit.NOT_ALLOWED

    def as_dict(self) -> dict[str, object]:
        return super().as_dict() | {"status": self.status, "type": self.kind, "field": self.field}
