"""Why the platform does not start, in words that say what to do, and the exit code of each reason."""


class CannotStart(RuntimeError):
    """The platform cannot start; the message says why and what to do."""

    exit_code = 6


class AlreadyRunning(CannotStart):
    exit_code = 3


class PortInUse(CannotStart):
    exit_code = 4


class DiskFull(CannotStart):
    exit_code = 5
