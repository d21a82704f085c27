"""Every live stream is an open file: see to it that there may be as many as the settings promise."""

import resource

from kit.logs import get_logger

log = get_logger(__name__)

BESIDE = 200  # the database, storage, requests that are no streams


def make_room(streams: int) -> bool:
    """Raise the process's own limit as far as it may; False, and a warning, when that is not far enough."""
    wanted = streams + BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return True
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning(
            "few-open-files",
            allowed=allowed,
            wanted=wanted,
            remedy="raise the hard limit (ulimit -Hn, LimitNOFILE) or lower POTLUCK_GATEWAY_MAX_WATCHERS",
        )
    return allowed >= wanted
