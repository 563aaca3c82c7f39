"""`migctl flags experiment`: what an experiment says of its variants."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.experiments.comparing import Compared
    from migctl.experiments.report import Report

app = typer.Typer(no_args_is_help=True, help="Experiments: the variants of a flag, compared.")

_NAMES = {
    "latency_p50_ms": "p50, ms",
    "latency_p95_ms": "p95, ms",
    "latency_p99_ms": "p99, ms",
    "error_rate_percent": "errors, %",
}


@app.callback()
def _group() -> None:
    pass


@app.command(short_help="Users, latency and errors of each variant.")
def report(
    flag: Annotated[str, typer.Argument(help="The flag.")] = "transport",
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="First day, UTC: 2026-01-31, or 14d for so long ago.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="WHEN", help="Last day, UTC, likewise.", show_default=False),
    ] = None,
    config: context.ConfigOption = None,
    output_format: context.OutputOption = "text",
) -> None:
    """Users of each variant, latency and errors, and how sure the difference is. Exit 1 where it can't be compared.

    \b
    migctl flags experiment report transport --since 2026-01-31
    """
    from migctl.config import load
    from migctl.runtime.experiments import make_report

    work = make_report(load(file=config), flag, _day("--since", since), _day("--until", until), output.note)
    found = context.run(work)
    if output_format == "json":
        import msgspec

        made = msgspec.to_builtins(found.report)
        output.document({**made, "away": found.away.what if found.away is not None else None})
    else:
        if found.away is not None:
            output.note(f"the record can't say it ({found.away.what}); minutes are those of this folder")
        _show(found.report)
    if found.report.verdict != "pass":
        raise typer.Exit(Exit.WANTING)


def _day(option: str, text: str | None) -> date | None:
    from datetime import UTC

    from migctl.clock import now
    from migctl.errors import Usage
    from migctl.events.durations import moment_of

    if text is None:
        return None
    try:
        return moment_of(text, now()).astimezone(UTC).date()
    except ValueError:
        raise Usage(f"{option} {text}: no day", do=f"write {option} 2026-01-31, or {option} 14d") from None


def _show(of: Report) -> None:
    from rich.text import Text

    users = of.users
    output.note(f"{of.flag}, {of.since} to {of.until} UTC")
    if users.unreadable:
        many = users.unreadable != 1
        output.note(f"{users.unreadable} line{'s' * many} of the exposure log can't be read")
    output.table(
        ["VARIANT", ("USERS", "right"), ("SENT ELSEWHERE", "right")],
        [[name, f"{count:,}", users.elsewhere.get(name, 0)] for name, count in users.variants.items()]
        or [["none", 0, 0]],
    )
    if users.excluded:
        output.note("not counted: " + ", ".join(f"{why} {count:,}" for why, count in users.excluded.items()))
    if users.kept:
        output.note(
            f"{users.kept:,} count by an older share than that of the day: the experiment is sticky, and they keep what it gave"
        )
    if users.ratio.parts:
        from migctl.experiments.report import p_in_words

        words = f", {p_in_words(users.ratio.p)}" if users.ratio.p is not None else ": too few to say"
        output.note(f"users against the share: {users.ratio.verdict}{words}")
    if of.comparisons:
        output.table(
            [
                "FIGURE",
                ("WEBSOCKET", "right"),
                ("REALTIME", "right"),
                ("DIFF", "right"),
                (f"{of.confidence_percent:g} % CI", "right"),
                ("P", "right"),
                ("BLOCKS", "right"),
            ],
            [_row(one) for one in of.comparisons],
        )
        output.note(f"{of.minutes:,} minutes of evidence; {of.left_out:,} without are left out")
    output.show(Text(of.sentence))


def _row(of: Compared) -> list[object]:
    digits = 3 if of.figure == "error_rate_percent" else 1
    means = [
        f"{of.means[name]:.{digits}f}" if name in of.means else "-" for name in ("websocket", "realtime")
    ]
    found = of.interval
    if found is None:
        return [_NAMES[of.figure], *means, "-", "-", "-", f"{of.blocks}x{of.block_minutes}m"]
    return [
        _NAMES[of.figure],
        *means,
        f"{found.difference:+.{digits}f}",
        f"{found.low:.{digits}f} to {found.high:.{digits}f}",
        "<0.001" if found.p < 0.001 else f"{found.p:.3f}",
        f"{of.blocks}x{of.block_minutes}m",
    ]
