"""As many open files as there may be live streams."""

import resource

import pytest
from gateway.http.open_files import BESIDE, make_room


@pytest.mark.parametrize(
    ("limits", "room", "set_to"),
    [
        ((1024, 8192), True, (2000 + BESIDE, 8192)),
        ((1024, resource.RLIM_INFINITY), True, (2000 + BESIDE, resource.RLIM_INFINITY)),
        ((1024, 1500), False, (1500, 1500)),
        ((4096, 4096), True, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), True, None),
    ],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], room: bool, set_to: tuple[int, int] | None
) -> None:
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: said.append(given))
    assert make_room(2000) is room
    assert said == ([set_to] if set_to else [])
