"""RFC 9110 §14 by its own examples, and by every range of a small object."""

import pytest
from gateway.http.ranges import NotSatisfiable, Span, requested, same
from hypothesis import given
from hypothesis import strategies as st

ETAG = '"abc"'


def ask(text: str, size: int = 10_000, if_range: str = ETAG) -> Span | None:
    return requested({"range": text, "if-range": if_range}, size, ETAG)


def test_the_examples_of_the_rfc() -> None:
    assert ask("bytes=0-499") == Span(0, 500)
    assert ask("bytes=500-999") == Span(500, 1000)
    assert ask("bytes=-500") == Span(9500, 10_000)
    assert ask("bytes=9500-") == Span(9500, 10_000)
    assert ask("BYTES = 0 - 0") == Span(0, 1)


@given(size=st.integers(1, 20), first=st.integers(0, 25), last=st.integers(0, 25))
def test_a_span_lies_inside_and_holds_what_was_asked(size: int, first: int, last: int) -> None:
    whole = range(size)
    if last < first:
        assert ask(f"bytes={first}-{last}", size) is None
    elif first >= size:
        with pytest.raises(NotSatisfiable):
            ask(f"bytes={first}-{last}", size)
    else:
        span = ask(f"bytes={first}-{last}", size)
        assert span is not None
        assert list(range(span.start, span.end)) == [byte for byte in whole if first <= byte <= last]


@pytest.mark.parametrize(
    "text", ["", "bytes", "bytes=", "bytes=-", "bytes=1-2,5-6", "bytes=x-", "items=0-1", "bytes=²-"]
)
def test_what_cannot_be_read_is_ignored(text: str) -> None:
    assert ask(text) is None


def test_an_empty_object_has_no_last_bytes() -> None:
    with pytest.raises(NotSatisfiable):
        ask("bytes=-5", 0)


def test_if_range_must_name_the_same_bytes() -> None:
    assert requested({"range": "bytes=0-1"}, 10, ETAG) == Span(0, 2)
    assert ask("bytes=0-1", if_range='"other"') is None


def test_if_none_match() -> None:
    assert same('"x", W/"abc"', ETAG)
    assert same("*", ETAG)
    assert not same("", ETAG)
    assert not same('"abcd"', ETAG)
