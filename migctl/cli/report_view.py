"""A consistency report for people: verdict first, then why, then what to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from migctl.cli import output

if TYPE_CHECKING:
    from rich.text import Text

    from migctl.status import TransportName
    from migctl.validate.latency import Quantiles
    from migctl.validate.result import BeforeJournal, Beside, CaptureSummary, Cell, Discrepancy, Report

_STYLES = {"pass": "bold green", "fail": "bold red"}
_BOUNDS = {"min": "at least", "max": "at most"}
_WORDS = {
    "payload_mismatch": "body differs",
    "number_precision": "number precision (no mismatch)",
    "late": "late",
    "unexpected": "not in the journal",
    "lost": "lost",
}
_POINTS: Mapping[str, Callable[[Quantiles], float | None]] = {
    "p50": lambda of: of.p50,
    "p95": lambda of: of.p95,
    "p99": lambda of: of.p99,
    "max": lambda of: of.max,
}
_TYPES_MOST = 12
_MINUTES_MOST = 10


def show(report: Report) -> None:
    """Print the report to stdout."""
    _headline(report)
    _missing_evidence(report)
    _gates(report)
    _transports(report)
    _discrepancies(report)
    _by_event_type(report)
    _by_minute(report)
    _remarks(report)
    _inputs(report)
    _verdict_again(report)


def _text(*parts: str | tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts)


def _line(*parts: str | tuple[str, str], indent: int = 0, hang: int = 0) -> None:
    """A line. On a terminal it is wrapped at words, `hang` further in; in a pipe it stays one line, for grep."""
    text, screen = _text(*parts), output.console()
    lines = (
        text.wrap(screen, max(20, screen.width - indent - hang)) if screen.is_terminal and text else [text]
    )
    for number, each in enumerate(lines):
        each.rstrip()
        each.pad_left(indent + (hang if number else 0))
        screen.print(each, soft_wrap=True)


def verdict_style(verdict: str) -> str:
    return _STYLES.get(verdict, "bold yellow")


def percent(value: float | None) -> str:
    """Cut off, not rounded: 99.99996 is not 100."""
    if value is None:
        return "none"
    return f"{int(value * 10_000) / 10_000:.4f}".rstrip("0").rstrip(".") + " %"


def _headline(report: Report) -> None:
    verdict = report.verdict
    figures = f"{report.matched:,} of {report.expected:,} events match ({percent(report.match_percent)})"
    _line(
        (verdict.upper(), verdict_style(verdict)),
        "   ",
        (figures, "bold"),
        ", ",
        (f"{report.lost:,} lost", "bold"),
    )
    if report.dual is not None:
        _line(*_whole(report.dual))
    _old_socket(report)
    _line(*before_journal(report.before_journal))
    truth = any(each.side == "journal" for each in report.inputs)
    against = "the journal" if truth else "each other"
    window = report.window
    what = "the whole journal" if window.kind == "journal" else "what was committed while all captures ran"
    if window.kind == "captures" and not window.starts and not window.ends:
        what = "everything, for no capture says when it ran"
    _line((f"{' and '.join(report.compared)} against {against}; expected: {what}", "dim"))


def _whole(of: Beside) -> list[str | tuple[str, str]]:
    """The whole subscriber, which is judged by itself."""
    word = (of.verdict, verdict_style(of.verdict))
    return ["dual: ", word, f", {of.matched:,} of {of.expected:,} events match, {of.missing:,} missing"]


def _old_socket(report: Report) -> None:
    """What old dashboards got, which is not judged but by a gate of its own."""
    if (of := report.legacy) is not None:
        rest = f"{of.missing:,} missing, {of.repeated:,} repeated, {of.unknown:,} unknown"
        _line(f"legacy: {of.events_matched:,} of {of.expected:,} events in {of.frames:,} frames, {rest}")


def _verdict_again(report: Report) -> None:
    """On a screen the last lines are what is seen; a file begins with the verdict, and has it once."""
    if not output.console().is_terminal:
        return
    _line()
    _list(report.missing_evidence)
    of = report.before_journal
    if of.rejected or of.unmapped_fields or of.times_replaced or of.source_outages:
        _line(*before_journal(report.before_journal))
    failed = [gate.name for gate in report.gates if gate.verdict == "fail"]
    if report.dual is not None:
        failed += [f"dual: {gate.name}" for gate in report.dual.gates if gate.verdict == "fail"]
    why = f"   {', '.join(failed)}" if failed else ""
    figures = f"   {report.matched:,} of {report.expected:,} events match, {report.lost:,} lost"
    _line((report.verdict.upper(), verdict_style(report.verdict)), figures, (why, "bold"))


def before_journal(of: BeforeJournal) -> list[tuple[str, str]]:
    """Beside lost: what no comparison can see."""
    if of.rejected is None:
        replaced = f"; {of.times_replaced:,} with the time of their arrival" if of.times_replaced else ""
        return [(f"before the journal: not known here{replaced}", "dim")]
    found = [
        (of.rejected, "rejected"),
        (of.unmapped_fields, "fields left out"),
        (of.times_replaced, "with the time of their arrival"),
        (
            of.source_outages,
            f"outage{'' if of.source_outages == 1 else 's'} of the source, {of.source_outage_s or 0:.1f} s",
        ),
    ]
    lost = ", ".join(f"{count:,} {words}" for count, words in found if count)
    return [
        (
            f"before the journal: {lost or 'nothing lost'}",
            "bold red" if of.rejected else "yellow" if lost else "dim",
        )
    ]


def _missing_evidence(report: Report) -> None:
    if not report.missing_evidence:
        return
    _line()
    _line(("missing evidence", "bold yellow"))
    _list(report.missing_evidence)


def _list(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        _line("- ", sentence, indent=2, hang=2)


def _gates(report: Report) -> None:
    rows = []
    for gate in report.gates:
        bound = f"{_BOUNDS[gate.name[:3]]} {gate.bound:,}"
        value = "none" if gate.value is None else _number(gate.name, gate.value)
        verdict = _text((gate.verdict, verdict_style(gate.verdict)))
        rows.append((gate.name, bound, value, f"{gate.samples:,}", verdict))
    _line()
    output.table(("gate", ("bound", "right"), ("value", "right"), ("samples", "right"), "verdict"), rows)


def _number(name: str, value: float) -> str:
    return percent(value)[:-2] if name.endswith("_percent") else f"{value:,}"


def _transports(report: Report) -> None:
    names, found, dual = report.compared, report.discrepancies, report.dual
    of = dict(report.transports.named())
    latency, catch_up = dict(report.latency_ms.named()), dict(report.catch_up_ms.named())
    delay, difference = dict(report.delay_ms.named()), report.latency_ms.difference
    rows: list[list[str | Text]] = []

    def row(
        label: str, cells: Iterable[str | Text], extra: str = "", *, whole: Callable[[Beside], str | Text]
    ) -> None:
        beside = [whole(dual)] if dual is not None else []
        rows.append([label, *cells, *([extra] if len(names) > 1 else []), *beside])

    row("received", [f"{of[name].received:,}" for name in names], whole=lambda it: f"{it.received:,}")
    row("missing", [_count(found.missing(name)) for name in names], whole=lambda it: _count(it.missing))
    row("duplicate", [_count(found.duplicate(name)) for name in names], whole=lambda it: _count(it.duplicate))
    row(
        "out of order",
        [_count(found.out_of_order(name)) for name in names],
        whole=lambda it: _count(it.out_of_order),
    )
    for point, value in _POINTS.items():
        row(
            f"latency {point}, ms",
            [_ms(value(latency[name])) for name in names],
            _ms(value(difference), signed=True) if difference else "",
            whole=lambda it, value=value: _ms(value(it.latency_ms)),  # type: ignore[misc]
        )
    row(
        "latency samples",
        [f"{latency[name].n:,}" for name in names],
        f"{difference.n:,}" if difference else "",
        whole=lambda it: f"{it.latency_ms.n:,}",
    )
    for point in ("p50", "p99", "max"):
        value = _POINTS[point]
        row(
            f"delay of all {point}, ms",
            [_ms(value(delay[name])) for name in names],
            whole=lambda it, value=value: _ms(value(it.delay_ms)),  # type: ignore[misc]
        )
    if any(catch_up[name].n for name in names) or (dual is not None and dual.catch_up_ms.n):
        for point in ("p50", "p99", "max"):
            value = _POINTS[point]
            row(
                f"catch-up {point}, ms",
                [_ms(value(catch_up[name])) for name in names],
                whole=lambda it, value=value: _ms(value(it.catch_up_ms)),  # type: ignore[misc]
            )
        row(
            "catch-up samples",
            [f"{catch_up[name].n:,}" for name in names],
            whole=lambda it: f"{it.catch_up_ms.n:,}",
        )
    summaries = [*(of[name].summary for name in names), dual.summary if dual is not None else None]
    counted: tuple[tuple[str, Callable[[CaptureSummary], int | None]], ...] = (
        ("repeats dropped", lambda it: it.repeats_dropped),
        ("gaps repaired", lambda it: it.gaps_repaired),
        ("reconnects", lambda it: it.reconnects),
    )
    for label, count in counted:
        values = [count(each) if each is not None else None for each in summaries]
        if any(one is not None for one in values):
            row(label, map(_plain, values[:-1]), whole=lambda _, last=values[-1]: _plain(last))  # type: ignore[misc]
    columns: list[str | tuple[str, str]] = ["transport", *((name, "right") for name in names)]
    if len(names) > 1:
        columns.append(("difference", "right"))
    if dual is not None:
        columns.append(("dual", "right"))
        rows.append(
            ["verdict", *("" for _ in columns[2:]), _text((dual.verdict, verdict_style(dual.verdict)))]
        )
    output.table(columns, rows)
    _clocks(report)


def _clocks(report: Report) -> None:
    if report.latency_basis == "timestamp":
        _line(("latency is from the event's own timestamp: no capture has a commit time", "yellow"))
    for name, skew in report.clock_skew_ms.named():
        late = skew.late
        if late.least and late.most is not None:
            how = f"clock is {late.least:,.1f} to {late.most:,.1f} ms behind the journal's; its latency is too low by that"
            _line((f"{name}: the receiver's {how}", "yellow"))
        elif skew.at_least:
            too_low = f"clocks differ by at least {skew.at_least:,.1f} ms; its latency is too low by that"
            _line((f"{name}: {too_low}", "yellow"))
        if skew.set_by and skew.set_by > 10:
            moved = f"the receiver's clock moved by {skew.set_by:,.1f} ms while it captured"
            _line((f"{name}: {moved}", "yellow"))


def _count(value: int | None) -> Text:
    return _text(_plain(value)) if not value else _text((f"{value:,}", "bold red"))


def _plain(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ms(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+,.1f}" if signed else f"{value:,.1f}"


def _discrepancies(report: Report) -> None:
    there = [
        (kind, count) for kind, count in (("lost", report.lost), *report.discrepancies.by_kind()) if count
    ]
    if not there:
        _line(("no discrepancies", "green"))
        return
    epochs = {example.epoch for found in report.examples.values() for example in found}
    _line(("discrepancies", "bold"))
    for kind, count in there:
        examples = report.examples.get(kind, [])
        style = "yellow" if kind == "number_precision" else "bold red"
        _line((f"{count:,}", style), " ", (_word(kind), "bold"), indent=2)
        for example in examples:
            _line(*_example(example, with_epoch=len(epochs) > 1), indent=6)
        if count > len(examples) > 0:
            _line((f"and {count - len(examples):,} more (--examples N, --discrepancies F)", "dim"), indent=6)
    if report.mismatched_fields:
        fields = [f"{name} ({count:,})" for name, count in report.mismatched_fields.items()]
        more = f" and {len(fields) - 8} more" if len(fields) > 8 else ""
        _line("fields that differ: ", ", ".join(fields[:8]) + more, indent=2)


def _word(kind: str) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    what, _, transport = kind.rpartition("_")
    return f"{what.replace('_', ' ')} on {transport}"


def _example(example: Discrepancy, *, with_epoch: bool) -> tuple[str | tuple[str, str], ...]:
    from migctl.events.ids import both_ids

    seq = "seq -" if example.seq is None else f"seq {example.seq:,}"
    where = f"{seq} of {example.epoch}" if with_epoch else seq
    more = [example.event_type]
    if example.fields and example.transports:
        more.append(f"{', '.join(example.fields)} on {' and '.join(example.transports)}")
    if isinstance(example.after_ms, int | float):
        more.append(f"{example.after_ms / 1000:,.1f} s after the commit, on {example.transport}")
    if isinstance(example.received_on, list):
        more.append(f"on {' and '.join(example.received_on)}")
    own = example.source_id if isinstance(example.source_id, str) else None
    return f"{where}  {both_ids(example.id, own)}", ("  " + "  ".join(more), "dim")


def _problems(cell: Cell) -> int:
    return cell.expected - cell.matched + cell.number_precision


def _by_event_type(report: Report) -> None:
    types = sorted(
        report.by_event_type.items(), key=lambda item: (-_problems(item[1]), -item[1].expected, item[0])
    )
    _cells("event type", types[:_TYPES_MOST], report.compared)
    if len(types) > _TYPES_MOST:
        _line((f"and {len(types) - _TYPES_MOST:,} more types (--output json has all)", "dim"))


def _by_minute(report: Report) -> None:
    bad = [(minute, cell) for minute, cell in report.by_minute.items() if cell.matched < cell.expected]
    if not bad:
        return
    _cells("minute", bad[:_MINUTES_MOST], report.compared)
    rest = len(bad) - _MINUTES_MOST
    all_of = len(report.by_minute)
    more = f"{rest:,} more minutes with discrepancies, " if rest > 0 else ""
    _line((f"{more}{all_of - len(bad):,} of {all_of:,} minutes without", "dim"))


def _cells(title: str, cells: list[tuple[str, Cell]], names: Sequence[TransportName]) -> None:
    columns: list[str | tuple[str, str]] = [title, ("expected", "right"), ("matched", "right")]
    columns += [(f"missing\n{name}", "right") for name in names]
    columns.append(("body\ndiffers", "right"))
    rows = [
        (
            key,
            f"{cell.expected:,}",
            f"{cell.matched:,}",
            *(_count(cell.missing(name)) for name in names),
            _count(cell.payload_mismatch),
        )
        for key, cell in cells
    ]
    if rows:
        output.table(columns, rows)


def _remarks(report: Report) -> None:
    if report.remarks:
        _line(("remarks", "bold"))
        _list(report.remarks)
    if report.tombstones:
        _list([f"tombstones: {count:,} {reason}" for reason, count in report.tombstones.items()])


def _inputs(report: Report) -> None:
    from migctl.events.sizes import size

    _line()
    for each in report.inputs:
        lines = f"{each.lines:,} {'rows' if each.side == 'tombstones' else 'events'}"
        _line(
            (
                f"{each.side}: {each.file}  {lines}, {size(each.size)}, sha256 {each.sha256[:12]}",
                "dim",
            )
        )
