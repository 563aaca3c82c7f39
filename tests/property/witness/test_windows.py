"""Windows: whatever the order in which journal and transports are heard, the same releases give the same window."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from migctl.subscriber.core.release import Release
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.sums import TRANSPORTS
from migctl.validate.witness.windows import Limits
from tests.kit.witnessing import Heard, at, counted, event

SOURCES = ("journal", *TRANSPORTS)
Streams = dict[str, list[Release]]


@st.composite
def streams(draw: st.DrawFn) -> Streams:
    """A journal, and two transports that miss, repeat, bend, delay and reorder some of it."""
    count = draw(st.integers(1, 12))
    commits = sorted(draw(st.lists(st.integers(0, 119_999), min_size=count, max_size=count)))
    found: Streams = {"journal": [event(seq, ms / 1000) for seq, ms in enumerate(commits, 1)]}
    for name in TRANSPORTS:
        heard = []
        for seq, ms in enumerate(commits, 1):
            for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
                data = draw(st.sampled_from((b'{"x":1.50}', b'{"x": 1.5}', b'{"x":2}')))
                received = (ms + draw(st.integers(0, 4000))) / 1000
                heard.append(event(seq, ms / 1000, received=received, data=data))
        if heard and draw(st.booleans()):
            at_ = draw(st.integers(0, len(heard) - 1))
            heard.append(heard.pop(at_))
        found[name] = heard
    return found


def played(found: Streams, order: list[str], limits: Limits | None = None) -> list[Minute]:
    heard = Heard(limits or Limits())
    left = {name: iter(items) for name, items in found.items()}
    for name in [*order, *(each for each in SOURCES for _ in found[each])]:
        item = next(left[name], None)
        if item is None:
            continue
        if name == "journal":
            heard.windows.journal(item)
        else:
            heard.windows.released(name, item)
        assert limits is None or heard.windows.held_bytes <= limits.max_bytes
    heard.windows.journal_read(at(122))
    heard.windows.counted(at(60.5), counted())
    heard.windows.counted(at(120.5), counted())
    minutes = heard.windows.tick(at(125))
    assert heard.windows.held_bytes == 0
    return minutes


@given(found=streams(), order=st.lists(st.sampled_from(SOURCES), max_size=40))
def test_any_interleaving_gives_the_same_windows(found: Streams, order: list[str]) -> None:
    assert played(found, order) == played(found, [])


@given(found=streams(), order=st.lists(st.sampled_from(SOURCES), max_size=40))
def test_nothing_is_counted_twice(found: Streams, order: list[str]) -> None:
    minutes = played(found, order)
    assert sum(minute.expected for minute in minutes) == len(found["journal"])
    for name in TRANSPORTS:
        sides = [minute.transports[name] for minute in minutes]
        times = Counter(release.seq for release in found[name])
        assert sum(side.received for side in sides) == len(times)
        assert sum(side.missing for side in sides) == len(found["journal"]) - len(times)
        assert sum(side.duplicates for side in sides) == times.total() - len(times)
    for minute in minutes:
        assert minute.matched + minute.mismatched + minute.lost <= minute.expected
        assert 0 <= (minute.availability_percent or 0.0) <= 100


@given(found=streams(), order=st.lists(st.sampled_from(SOURCES), max_size=40))
def test_what_waits_is_bounded_and_a_window_that_had_no_room_is_no_evidence(
    found: Streams, order: list[str]
) -> None:
    whole = played(found, order)
    for minute, seen in zip(played(found, order, Limits(max_bytes=4000)), whole, strict=True):
        assert minute.verdict != "pass" or (minute.expected, minute.matched) == (seen.expected, seen.matched)
