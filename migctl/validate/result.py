"""Result: the consistency report, `migctl.report/1`, of one struct for each part.

Who reads a report reads fields. None is "not compared", "not known" or "none was there", never zero. Its JSON form has the keys in
the order of the fields; keys that are not known here are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migctl.config.files import private_opener
from migctl.errors import Usage
from migctl.events.jsontext import typed
from migctl.status import TransportName
from migctl.validate.clocks import Late, late
from migctl.validate.gates import Gate, Verdict
from migctl.validate.latency import Quantiles
from migctl.validate.window import WindowKind

LatencyBasis = Literal["committed_at", "timestamp"]
Rls = Literal["bypassed", "enforced"]

NAMES: tuple[TransportName, ...] = ("websocket", "realtime")

T = TypeVar("T")


class Each(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of each transport; None where it is not compared."""

    websocket: T | None
    realtime: T | None

    def of(self, name: TransportName) -> T | None:
        return self.websocket if name == "websocket" else self.realtime

    def named(self) -> list[tuple[TransportName, T]]:
        """Those that there are."""
        return [(name, part) for name in NAMES if (part := self.of(name)) is not None]


class Latency(Each[Quantiles], frozen=True, kw_only=True):
    """difference: of realtime to websocket, event by event; None where one of them is not compared."""

    difference: Quantiles | None


class Skew(Struct, frozen=True, kw_only=True):
    """at_least: how far the receiver's clock is behind the journal's, known where an event came before its commit.

    set_by: how far the receiver's clock was set while it captured, against its monotonic one.
    behind, within: how far it is behind, as serve was asked, and how far off that is at most; None where nobody asked.
    """

    at_least: float | None
    set_by: float | None
    behind: float | None = None
    within: float | None = None

    @property
    def late(self) -> Late:
        """What is known of it."""
        return late(self.at_least, self.behind, self.within)


class Discrepancies(Struct, frozen=True, kw_only=True):
    """How many there are of each kind. late: over all transports. unexpected: None without a journal."""

    missing_websocket: int | None
    missing_realtime: int | None
    payload_mismatch: int
    number_precision: int
    duplicate_websocket: int | None
    duplicate_realtime: int | None
    out_of_order_websocket: int | None
    out_of_order_realtime: int | None
    late: int
    unexpected: int | None

    def missing(self, name: TransportName) -> int | None:
        return self.missing_websocket if name == "websocket" else self.missing_realtime

    def duplicate(self, name: TransportName) -> int | None:
        return self.duplicate_websocket if name == "websocket" else self.duplicate_realtime

    def out_of_order(self, name: TransportName) -> int | None:
        return self.out_of_order_websocket if name == "websocket" else self.out_of_order_realtime

    def by_kind(self) -> list[tuple[str, int | None]]:
        return [(kind, getattr(self, kind)) for kind in self.__struct_fields__]


class Cell(Struct, frozen=True, kw_only=True):
    """Events of one type, or of one minute."""

    expected: int
    matched: int
    missing_websocket: int | None
    missing_realtime: int | None
    lost: int
    payload_mismatch: int
    number_precision: int

    def missing(self, name: TransportName) -> int | None:
        return self.missing_websocket if name == "websocket" else self.missing_realtime


class Discrepancy(Struct, frozen=True, kw_only=True):
    """One of them. source_id: its producer's, where id was made of that. file, line: where it stands. committed_at: left out where
    the line does not have it.

    transports, against, fields: of bodies that differ. transport, after_ms: of one that is late. received_on: of one that no
    journal has.
    """

    id: str
    source_id: str | UnsetType = UNSET
    epoch: str | None
    seq: int | None
    file: str
    line: int
    event_type: str
    committed_at: str | UnsetType = UNSET
    transports: list[TransportName] | UnsetType = UNSET
    against: str | UnsetType = UNSET
    fields: list[str] | UnsetType = UNSET
    transport: TransportName | UnsetType = UNSET
    after_ms: int | float | UnsetType = UNSET
    received_on: list[TransportName] | UnsetType = UNSET


class Begin(Struct, frozen=True, kw_only=True):
    """After which position, or from when on, a capture has everything."""

    epoch: str | None
    seq: int | None
    at: str | None


class End(Struct, frozen=True, kw_only=True):
    """Up to when a capture has everything."""

    at: str | None


class Covered(Struct, frozen=True, kw_only=True):
    """What was expected of the captures. starts, ends: of those that say it, by transport.

    outside, excused: events that are not counted. control: events of ours in the journal.
    """

    kind: WindowKind
    starts: dict[str, Begin]
    ends: dict[str, End]
    outside: int
    excused: int
    control: int


class CaptureSummary(Struct, frozen=True, kw_only=True):
    """What the capture says of itself. reason: why it ended."""

    role: str | None
    complete: bool
    reason: str
    repeats_dropped: int | None
    gaps_repaired: int | None
    reconnects: int | None


class Compared(Struct, frozen=True, kw_only=True):
    """One capture. torn_line: its last, left out. summary: None where none stands beside it."""

    lines: int
    received: int
    torn_line: int | None
    summary: CaptureSummary | None


class Beside(Struct, frozen=True, kw_only=True):
    """A capture of the whole subscriber, compared with the journal alone: what an application got, whichever transport brought it.

    Its figures are those of a transport; gates: the same bounds.
    """

    verdict: Verdict
    expected: int
    matched: int
    received: int
    missing: int
    payload_mismatch: int
    duplicate: int
    out_of_order: int
    late: int
    latency_ms: Quantiles
    delay_ms: Quantiles
    catch_up_ms: Quantiles
    clock_skew_ms: Skew
    gates: list[Gate]
    summary: CaptureSummary | None


class OldSocket(Struct, frozen=True, kw_only=True):
    """A capture of the old socket beside the journal, by content: its frames have no id. Not part of the verdict but by its gate.

    not_events: frames without an event. compared_by: the data alone, where frames are no more than that. expected: what the
    journal has in the window of this capture. repeated: more often than the journal has it. unknown: not in the journal.
    """

    frames: int
    not_events: int
    compared_by: Literal["type and data", "data"]
    expected: int
    events_matched: int
    missing: int
    repeated: int
    unknown: int
    summary: CaptureSummary | None


class InputFile(Struct, frozen=True, kw_only=True):
    """A file that was read."""

    side: str
    file: str
    size: int
    sha256: str
    lines: int


class BeforeJournal(Struct, frozen=True, kw_only=True):
    """What was lost, or changed, before the journal, where no comparison can see it. None: not known here.

    times_replaced: expected events that have the time of their arrival, for want of one that could be read.
    """

    rejected: int | None
    unmapped_fields: int | None
    times_replaced: int | None
    source_outages: int | None
    source_outage_s: float | None


class Report(Struct, frozen=True, kw_only=True):
    """latency_ms: of live events, from latency_basis on; delay_ms: of all; catch_up_ms: of those that were caught up.
    late_after_s: what late means.

    tombstones: by reason; None without a file of them. missing_evidence: why there is no verdict, a sentence each. dual: None
    without such a capture, or without a journal. legacy: None without such a capture.
    rls: whether row level security stood between the Realtime capture and the rows; None where nobody knows.
    """

    schema: Literal["migctl.report/1"] = "migctl.report/1"
    verdict: Verdict
    expected: int
    matched: int
    match_percent: float | None
    lost: int
    before_journal: BeforeJournal = BeforeJournal(
        rejected=None, unmapped_fields=None, times_replaced=None, source_outages=None, source_outage_s=None
    )
    discrepancies: Discrepancies
    tombstones: dict[str, int] | None
    latency_ms: Latency
    delay_ms: Each[Quantiles]
    catch_up_ms: Each[Quantiles]
    latency_basis: LatencyBasis
    clock_skew_ms: Each[Skew]
    late_after_s: int | float
    by_event_type: dict[str, Cell]
    by_minute: dict[str, Cell]
    mismatched_fields: dict[str, int]
    examples: dict[str, list[Discrepancy]]
    gates: list[Gate]
    missing_evidence: list[str]
    remarks: list[str]
    window: Covered
    transports: Each[Compared]
    dual: Beside | None = None
    legacy: OldSocket | None = None
    rls: Rls | None
    inputs: list[InputFile]

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"

    @property
    def compared(self) -> Sequence[TransportName]:
        return [name for name, _ in self.transports.named()]

    def to_json(self) -> dict[str, Any]:
        """The JSON form as Python has it, for who is not us."""
        form: dict[str, Any] = msgspec.to_builtins(self)
        return form

    def text(self) -> str:
        """The JSON form, as it is kept."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Keep it as JSON. Raises Usage where it can't be written."""
        try:
            with open(path, "w", encoding="utf-8", opener=private_opener) as file:
                file.write(self.text())
        except OSError as error:
            raise Usage(f"{path}: {error.strerror or error}", do="name a file that can be written") from None


def read(path: Path) -> Report:
    """A report that was kept. Raises Usage where it can't be read, or is none; it names the key."""
    try:
        return typed(_decoder, path.read_bytes())
    except OSError as error:
        raise Usage(f"{path}: {error.strerror or error}", do="name a file that can be read") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Usage(
            f"{path}: no consistency report that can be read here: {error}",
            do="name the file that `migctl validate report --out` has written",
        ) from None


def json_schema() -> dict[str, Any]:
    """Of `migctl.report/1`, JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "migctl.report/1",
        **msgspec.json.schema(Report),
    }


_decoder = msgspec.json.Decoder(Report)
