"""Which project a command works on: the hosted one that the environment names, or the embedded stack, started where it is down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from migctl.config import Settings, Target, from_environment
from migctl.config.target import Need


async def resolve(
    settings: Settings,
    *,
    need: Sequence[Need] = ("database_url",),
    notify: Callable[[str], None] = lambda _: None,
    reads_only: bool = False,
) -> Target:
    """The one target of this command, with the parts that it needs.

    notify: is told in a line when the embedded stack is started here. reads_only: a stack that is up stays as it is, also where its
    REST does not serve the schema yet.
    Raises Usage where a hosted target lacks a part, Transient where the stack doesn't come up.
    """
    target = from_environment(settings)
    if target is None:
        from migctl import stack

        # In this thread on purpose: the stack's processes die with the thread that made them.
        outcome = stack.bring_up(settings.state, schemas=[] if reads_only else [settings.supabase.schema_])
        target = outcome.target
        if outcome.words is not None:
            notify(outcome.words)
    for part in need:
        target.need(part)
    return target
