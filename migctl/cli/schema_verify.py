"""`migctl schema verify`: the live database held against the files, and with --delivery a canary sent all the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output, quantities
from migctl.cli.schema_shared import SchemaOption, head, resolve, settings_of, where
from migctl.errors import Systemic, Wanting

if TYPE_CHECKING:
    from migctl.config import Settings, Target
    from migctl.doctor import Delivery, Way
    from migctl.schema import Difference


def verify(
    *,
    delivery: Annotated[
        bool,
        typer.Option(
            "--delivery",
            help="Then insert a canary row and push a canary broadcast, see both arrive, and delete the row.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            parser=quantities.seconds(1),
            help="With --delivery: how long each way may take. Default: 20s.",
            show_default=False,
        ),
    ] = None,
    yes: context.YesOption = False,
    schema: SchemaOption = None,
    config: context.ConfigOption = None,
    form: context.OutputOption = "text",
) -> None:
    """Check the live database against what the files make; exit 1 and a line for each difference.

    With --delivery also by sending: a row as service_role, received by postgres_changes, and a message, received by broadcast,
    both as `authenticated` by the official client. What does not arrive is listed with its likely cause. Realtime away: exit 3.

    \b
    migctl schema verify
    migctl schema verify --delivery
    """
    context.only_with("--timeout", timeout is not None, "--delivery", delivery)
    settings = settings_of(config, schema)
    name = settings.supabase.schema_
    target, found, sent = context.run(
        _work(settings, delivery=delivery, timeout_s=20.0 if timeout is None else timeout, yes=yes, form=form)
    )
    failure = sent.failure() if sent is not None else None
    if form == "json":
        passed = not found and failure is None
        output.document(
            head("verify", target, name)
            | {"verdict": "pass" if passed else "fail", "differences": [_difference(d) for d in found]}
            | ({"delivery": _document(sent)} if sent is not None else {})
        )
    elif sent is not None:
        _show(sent)
    if found:
        count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        raise Wanting(
            f"{where(target, name)}: {count}" + (f", and {failure.what}" if failure else ""),
            do="each has its way out below it; then verify again",
        )
    if failure is not None:
        raise type(failure)(f"{where(target, name)}: {failure.what}", do=failure.do)


async def _work(
    settings: Settings, *, delivery: bool, timeout_s: float, yes: bool, form: str
) -> tuple[Target, list[Difference], Delivery | None]:
    from migctl import schema as room
    from migctl.cli.prompt import confirm

    name = settings.supabase.schema_
    from migctl import doctor
    from migctl.target.authenticated import need_authenticated

    target, url = await resolve(
        settings, need=tuple(doctor.NEEDS) if delivery else (), reads_only=not delivery
    )
    authenticated = need_authenticated(target, settings) if delivery else None
    if form != "json":
        output.note(where(target, name))
    found = await room.verify(url, name)
    if form != "json":
        for difference in found:
            output.plain(f"{difference}\n  {difference.do}")
        if not found:
            output.plain("the database is as the files make it")
    if not delivery:
        return target, found, None
    confirm(f"insert a canary row into {name}.{room.EVENTS} and delete it again", yes=yes, target=target)
    sent = await doctor.check(
        target, name, timeout_s=timeout_s, differences=found, authenticated=authenticated
    )
    return target, found, sent


def _show(sent: Delivery) -> None:
    for way in sent.ways:
        if way.after_ms is not None:
            output.plain(f"{way.name}: arrived after {way.after_ms:.0f} ms")
            continue
        assert way.error is not None
        output.plain(f"{way.name}: NOT arrived: {way.error.what}")
        for cause in way.causes:
            output.plain(f"  likely: {cause}\n    {cause.do}")
        # A key that is refused is no matter of the catalog.
        if not way.causes or isinstance(way.error, Systemic):
            output.plain(f"  {way.error.do}")
    output.note(f"the canary row {sent.row_id} is gone again")


def _document(sent: Delivery) -> dict[str, object]:
    return {"row_id": sent.row_id, "ways": [_way(way) for way in sent.ways]}


def _way(way: Way) -> dict[str, object]:
    return {
        "name": way.name,
        "arrived": way.after_ms is not None,
        "after_ms": None if way.after_ms is None else round(way.after_ms, 1),
        "error": None if way.error is None else way.error.what,
        "do": None if way.error is None else way.error.do,
        "causes": [_difference(cause) for cause in way.causes],
    }


def _difference(difference: Difference) -> dict[str, str]:
    return {
        "what": difference.what,
        "aspect": difference.aspect,
        "expected": difference.expected,
        "found": difference.found,
        "do": difference.do,
    }
