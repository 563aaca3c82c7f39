"""What a source says: one struct for each kind, told apart by `kind`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from migctl.events.times import Moment

Expected = Literal["times", "fields"]
SourceState = Literal[
    "new", "connecting", "connected", "reading", "measuring", "running", "waiting", "finished", "stopped", "closed"
]  # fmt: skip


class SourceStatus(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all kinds of source say. waiting_for: why the journal takes nothing from it now.

    since: its start. last_event_at: when the journal took one from it. per_s: events taken a second over the last minute.
    """

    source: str
    state: SourceState
    waiting_for: str | None
    accepted: int
    rejected: int
    since: Moment | None = None
    last_event_at: Moment | None = None
    per_s: float | None = None

    @property
    def kind(self) -> str:
        """As the document has it: file, stdin, tap, host, publisher."""
        return str(self.__struct_config__.tag)


class MappedStatus(SourceStatus, frozen=True, kw_only=True):
    """Of a source whose events are somebody else's. without_time: got that of their arrival. ignored: by the mapping.

    rejected_waiting: lines in rejected_file, of earlier runs too, that nobody has retried or dismissed. rejected_lost: of rejected,
    those that had no room there, and are only counted.
    times_replaced: of without_time, those that had one which can't be read. unmapped: paths of what events lack of their messages,
    to how often, and in how many messages. expected: of times and fields, what the settings say is to be so.
    """

    duplicates: int
    without_time: int
    ignored: int
    rejected_file: str
    rejected_waiting: int = 0
    rejected_lost: int = 0
    times_replaced: int = 0
    unmapped: dict[str, int] = {}
    unmapped_messages: int = 0
    unmapped_file: str = ""
    expected: list[Expected] = []


class FileStatus(MappedStatus, frozen=True, kw_only=True, tag="file"):
    """size_bytes: None for what has no size, such as a pipe.

    unfinished_bytes: of a last line that has no end, and is not read. begun_anew: how often it was another file, or was cut.
    """

    resumable: bool
    resumed_from_bytes: int
    offset_bytes: int
    size_bytes: int | None
    lines: int
    unfinished_bytes: int = 0
    begun_anew: int = 0


class StdinStatus(FileStatus, frozen=True, kw_only=True, tag="stdin"):
    """As a file that can't be read again."""


class OutageStatus(Struct, frozen=True, kw_only=True):
    """A time in which a tap did not listen. ended: None while it lasts."""

    source: str
    began: Moment = field(name="from")
    ended: Moment | None = field(name="to")
    reason: str


class OutagesStatus(Struct, frozen=True, kw_only=True):
    """count: the one that lasts included. total_s: of those that ended. latest: the last ten of them.

    recent: that ended within the last hour. file: where all of them stand.
    """

    count: int
    total_s: float
    lasting: OutageStatus | None
    latest: list[OutageStatus]
    recent: int = 0
    file: str = ""


class TapStatus(MappedStatus, frozen=True, kw_only=True, tag="tap"):
    """reason: why it does not listen. buffered_*: what was heard and is not in the journal yet.

    behind_s: since when the oldest of it waits. unread_bytes: what has come and was not heard yet. rests: for others' turns.
    """

    reason: str | None
    connections: int
    frames: int
    buffered_frames: int
    buffered_bytes: int
    outages: OutagesStatus
    behind_s: float = 0.0
    unread_bytes: int = 0
    rests: int = 0


class HostStatus(SourceStatus, frozen=True, kw_only=True, tag="host"):
    """not_measured: event types that this machine can't say, and why."""

    rate_wanted_per_s: float
    deadlines_missed: int
    by_event_type: dict[str, int]
    not_measured: dict[str, str]


class PublisherStatus(SourceStatus, frozen=True, kw_only=True, tag="publisher"):
    """A Publisher in the same process. buffered_bytes: what was published and is not in the journal yet."""

    buffered_bytes: int


AnySource = FileStatus | StdinStatus | TapStatus | HostStatus | PublisherStatus
