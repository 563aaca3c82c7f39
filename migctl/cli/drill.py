"""`migctl drill`: failures rehearsed on real parts. Each shipped drill is a command by its name."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from migctl.cli import drill_list, drill_proxy, drill_run


class _ByName(TyperGroup):
    """`migctl drill failover` is `migctl drill run failover`: what is no command is a drill's name or file."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_ByName,
    help="Rehearse failures on real parts, and measure what subscribers received.\n\n"
    "A drill is run by its name: `migctl drill failover`. `migctl drill list` has them all.",
    no_args_is_help=True,
)
app.command("run", short_help="Run a drill, or all of them.")(drill_run.run)
app.command("list", short_help="Those that can be run, and when each was.")(drill_list.list_drills)
app.command("show", short_help="What a drill does, and what must hold.")(drill_list.show)
app.command("history", short_help="Those that were run here, and what they measured.")(drill_list.history)
app.command("clean")(drill_list.clean)
app.command("proxy", short_help="A TCP proxy that fails on request.")(drill_proxy.proxy)
