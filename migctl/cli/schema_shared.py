"""What the schema commands share: options, the target, and how a step is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import output, quantities

if TYPE_CHECKING:
    from pathlib import Path

    from migctl.config import Settings, Target
    from migctl.config.target import Need
    from migctl.schema import Patience, Step

SchemaOption = Annotated[
    str | None,
    typer.Option(
        "--schema", help="The schema to work in. Default: supabase.schema, else public.", show_default=False
    ),
]
LockOption = Annotated[
    float | None,
    typer.Option(
        "--lock-timeout",
        metavar="TIME",
        parser=quantities.seconds(0.1),
        help="How long one wait for a table's lock may be. Default: supabase.lock_timeout_s, else 1.",
        show_default=False,
    ),
]
RetryOption = Annotated[
    float | None,
    typer.Option(
        "--retry-for",
        metavar="TIME",
        parser=quantities.seconds(),
        help="How long to try again. Default: supabase.lock_retry_s, else 60.",
        show_default=False,
    ),
]


async def resolve(
    settings: Settings, *, need: tuple[Need, ...] = (), reads_only: bool = False
) -> tuple[Target, str]:
    """reads_only: of a command that changes nothing, which restarts nothing either."""
    from migctl.runtime import target as runtime

    target = await runtime.resolve(
        settings, need=need or ("database_url",), notify=output.note, reads_only=reads_only
    )
    return target, target.need("database_url")


def settings_of(
    config: Path | None, schema: str | None, lock_timeout: float | None = None, retry_for: float | None = None
) -> Settings:
    from migctl.config import load

    flags = {"schema": schema, "lock_timeout_s": lock_timeout, "lock_retry_s": retry_for}
    return load(file=config, flags={("supabase", name): value for name, value in flags.items()})


def patience_of(settings: Settings) -> Patience:
    from migctl.schema import Patience

    lock_timeout_s = settings.supabase.lock_timeout_s
    return Patience(lock_timeout_s, settings.supabase.lock_retry_s, in_place_s=lock_timeout_s)


def head(kind: str, target: Target, schema: str) -> dict[str, object]:
    return {
        "schema": f"migctl.schema.{kind}/1",
        "target": target.name,
        "database": target.database_name,
        "database_schema": schema,
    }


def where(target: Target, schema: str) -> str:
    return f"{target.name}, database {target.database_name}, schema {schema}"


def files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def step_document(step: Step) -> dict[str, object]:
    row = step.row
    return {
        "version": step.version,
        "name": step.name,
        "state": step.state,
        "file_sha256": step.file.sha256 if step.file is not None else None,
        "applied_sha256": row.sha256 if row is not None else None,
        "started_at": row.started_at.isoformat() if row is not None else None,
        "finished_at": row.finished_at.isoformat() if row is not None else None,
        "who": row.who if row is not None else None,
        "reason": row.reason if row is not None else None,
        "tool_version": row.tool_version if row is not None else None,
        "failed_statement": row.failed_statement if row is not None else None,
        "error": row.error if row is not None else None,
    }


def show_steps(steps: tuple[Step, ...]) -> None:
    def checksum(step: Step) -> str:
        if step.file is None or step.row is None or step.row.state != "applied":
            return "-"
        return "same" if step.file.sha256 == step.row.sha256 else "differs"

    output.table(
        ["FILE", "DB", "CHECKSUM", "WHEN (UTC)", "WHO"],
        [
            [
                step.file.file if step.file is not None else f"{step.version:04d}_{step.name} (no file)",
                # Taken back, and so to be applied again: the operator wants to see which.
                "reverted" if step.row is not None and step.row.state == "reverted" else step.state,
                checksum(step),
                f"{step.row.finished_at:%Y-%m-%d %H:%M:%S}" if step.row is not None else "-",
                step.row.who if step.row is not None else "-",
            ]
            for step in steps
        ],
    )
    for step in steps:
        if step.state == "failed" and step.row is not None:
            output.note(
                f"{step.version:04d}: statement {step.row.failed_statement} failed: {step.row.error}; nothing of it was kept"
            )
