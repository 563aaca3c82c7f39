"""Plots: a drill's series and states on one axis of time, as lines in a frame and bars in lanes below it. Pure.

A run without data has no plot. A long one has each of its buckets as an average of seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from migctl.drills.result import Fault, Result, Second, State
from migctl.pages.frame import HEIGHT, WIDTH, Line, Mark, Tick, nice, text

# More than these no screen tells apart.
_MOST_BUCKETS = 400
_TICKS = 7
_TOPS = (1, 1.5, 2, 3, 4, 6, 8)
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)
# A name beside a bar takes so much of the lane, in percent.
_NAME_WIDTH = 40.0
# In a narrower bar no name can be read.
_NAMED_WIDTH = 3.0
# With more faults than these a row each would fill the page.
_MOST_ROWS = 8
NAMES = {"committed": "committed", "websocket": "over the WebSocket", "realtime": "over Realtime"}


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """at, width: percent of the lane. style: as CSS has it. right: the name ends where the bar does.

    room: percent of the lane that the name can take before it meets another; 0: it stands in the bar.
    """

    at: float
    width: float
    name: str
    style: str
    title: str
    right: bool = False
    room: float = 0.0


class Lane(msgspec.Struct, frozen=True):
    """One row of bars."""

    name: str
    bars: list[Bar]


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn of one drill. marks: faults, over the whole height. words: the same for who does not see it."""

    lines: list[Line]
    up: list[Tick]
    across: list[Tick]
    marks: list[Mark]
    lanes: list[Lane]
    seconds: float
    buckets: list[Second]
    words: str


def plot_of(of: Result) -> Plot | None:
    """None where nothing was measured over time."""
    if not of.series and not of.states and not of.faults:
        return None
    seconds = _end(of)
    buckets = _buckets(of.series)
    most = max((max(one.committed, one.websocket, one.realtime) for one in buckets), default=0.0)
    top = nice(max(most, 1.0), _TOPS)
    bucket_s = buckets[1].at_s - buckets[0].at_s if len(buckets) > 1 else 1
    return Plot(
        lines=[
            Line(name, style, _path([(one.at_s, getattr(one, style)) for one in buckets], bucket_s, seconds, top))
            for style, name in NAMES.items()
        ],
        up=[Tick(HEIGHT * (1 - part / 4), f"{top * part / 4:g}") for part in range(0, 5, 2)],
        across=_across(seconds),
        marks=[_mark(one, seconds) for one in of.faults],
        lanes=[*_fault_lanes(of.faults, seconds), *_state_lanes(of.states, seconds)],
        seconds=seconds,
        buckets=buckets,
        words=_words(of, seconds),
    )  # fmt: skip


def _end(of: Result) -> float:
    """Seconds of the run that are drawn; at least one."""
    ends = [
        1.0,
        *(one.at_s + 1.0 for one in of.series[-1:]),
        *(one.lifted_at_ms / 1000 for one in of.faults),
        *(one.until_ms / 1000 for one in of.states),
    ]
    return max(ends)


def _buckets(series: Sequence[Second]) -> list[Second]:
    size = -(-len(series) // _MOST_BUCKETS) or 1
    return [
        Second(
            at_s=group[0].at_s,
            committed=round(sum(one.committed for one in group) / len(group), 1),
            websocket=round(sum(one.websocket for one in group) / len(group), 1),
            realtime=round(sum(one.realtime for one in group) / len(group), 1),
        )
        for group in _groups(series, size)
    ]


def _groups(series: Sequence[Second], size: int) -> Iterator[Sequence[Second]]:
    for at in range(0, len(series), size):
        yield series[at : at + size]


def _path(values: Sequence[tuple[float, float]], bucket_s: float, seconds: float, top: float) -> str:
    """A level stretch for each bucket."""
    parts = []
    for number, (at_s, value) in enumerate(values):
        left, right = (WIDTH * min(moment / seconds, 1.0) for moment in (at_s, at_s + bucket_s))
        parts.append(f"{'L' if number else 'M'}{text(left)} {text(HEIGHT * (1 - value / top))}H{text(right)}")
    return "".join(parts)


def _across(seconds: float) -> list[Tick]:
    step = next((one for one in _STEPS_S if seconds / one <= _TICKS), _STEPS_S[-1])
    return [Tick(100 * at / seconds, clock(at)) for at in range(0, int(seconds) + 1, step)]


def clock(at_s: float) -> str:
    """Since the load began: `12 s`, `5:00`, `3:00:00`."""
    whole = int(at_s)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _span(since_ms: int, until_ms: int, seconds: float) -> tuple[float, float]:
    left, right = (min(max(at / 10 / seconds, 0.0), 100.0) for at in (since_ms, until_ms))
    return left, right - left


def _mark(one: Fault, seconds: float) -> Mark:
    at, width = _span(one.armed_at_ms, one.lifted_at_ms, seconds)
    return Mark(at, width, one.name)


def _fault_lanes(faults: Sequence[Fault], seconds: float) -> list[Lane]:
    """Faults one beside the other where their names have room, else one below the other; of many, those of one name in one lane."""
    if len(faults) > _MOST_ROWS:
        return [
            Lane(name, [_fault_bar(one, seconds) for one in faults if one.name == name])
            for name in sorted({one.name for one in faults})
        ]
    rows: list[list[Bar]] = []
    for one in sorted(faults, key=lambda one: one.armed_at_ms):
        bar = msgspec.structs.replace(_fault_bar(one, seconds), name=one.name)
        row = next((row for row in rows if _taken(row[-1]) <= _begins(bar)), None)
        if row is None:
            rows.append([bar])
        else:
            row.append(bar)
    return [
        Lane("" if number else "faults", [_with_room(row, at) for at in range(len(row))])
        for number, row in enumerate(rows)
    ]


def _fault_bar(one: Fault, seconds: float) -> Bar:
    """Without its name."""
    at, width = _span(one.armed_at_ms, one.lifted_at_ms, seconds)
    right = at > 100 - _NAME_WIDTH
    title = f"{one.name}: {one.armed_at_ms / 1000:.1f} to {one.lifted_at_ms / 1000:.1f} s"
    return Bar(at=at, width=width, name="", style="fault", title=title, right=right)


def _taken(bar: Bar) -> float:
    """Up to where a bar and its name reach at least."""
    return bar.at + (bar.width if bar.right else max(bar.width, _NAME_WIDTH))


def _begins(bar: Bar) -> float:
    return min(bar.at, bar.at + bar.width - _NAME_WIDTH) if bar.right else bar.at


def _with_room(row: Sequence[Bar], number: int) -> Bar:
    """The whole of what is free beside it."""
    bar = row[number]
    if bar.right:
        room = bar.at + bar.width - (_taken(row[number - 1]) if number else 0.0)
    else:
        room = (_begins(row[number + 1]) if number + 1 < len(row) else 100.0) - bar.at
    return msgspec.structs.replace(bar, room=room)


def _state_lanes(states: Sequence[State], seconds: float) -> list[Lane]:
    """serve and fallback first, then each breaker that was not closed all the time."""
    order = {"serve": 0, "fallback": 1}
    lanes = []
    for part in sorted({one.part for one in states}, key=lambda part: (order.get(part, 2), part)):
        bars = []
        for one in (one for one in states if one.part == part):
            at, width = _span(one.since_ms, one.until_ms, seconds)
            state = one.state.replace("_", " ")
            title = f"{part} {state}: {one.since_ms / 1000:.1f} to {one.until_ms / 1000:.1f} s"
            bars.append(
                Bar(
                    at=at,
                    width=width,
                    name=state if width >= _NAMED_WIDTH else "",
                    style=one.state.replace("_", "-"),
                    title=title,
                )
            )
        lanes.append(Lane(part if part in order else f"{part} breaker", bars))
    return lanes


def _words(of: Result, seconds: float) -> str:
    """What the plot shows, in a sentence each."""
    found = [f"Events per second over {clock(seconds)}."]
    for style, name in NAMES.items() if of.series else ():
        values = [getattr(one, style) for one in of.series]
        found.append(f"{name[0].upper()}{name[1:]}: {min(values):g} to {max(values):g}.")
    found += [
        f"Fault {one.name}: {one.armed_at_ms / 1000:.1f} to {one.lifted_at_ms / 1000:.1f} s."
        for one in of.faults
    ]
    found += [
        f"{one.part} {one.state.replace('_', ' ')}: {one.since_ms / 1000:.1f} to {one.until_ms / 1000:.1f} s."
        for one in of.states
    ]
    return " ".join(found)
