"""`migctl top`: the migration live in a terminal, with keys to stop it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from migctl.cli import context, output
from migctl.exits import Exit

if TYPE_CHECKING:
    from migctl.cli.top_keys import Wanted
    from migctl.cli.top_view import Shown
    from migctl.config import Settings
    from migctl.rollout.report import RolloutStatus
    from migctl.runtime.afar import Afar
    from migctl.status import ServeStatus

EVERY_S = 1.0
ROLLOUT_EVERY_S = 2.0


def top(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Watch the serve there, with the token of MIGCTL_TOKEN. Default: that of the state folder.",
            show_default=False,
        ),
    ] = None,
    config: context.ConfigOption = None,
) -> None:
    """Watch a running serve and its rollout: rates, latencies, breakers, backlog, match, share, gates.

    Keys: p pauses the rollout, a aborts it, t holds the relay's writing, n lifts that; each wants a reason and a y. q quits. With
    --url the relay is not held: that is for the control socket alone. Needs a terminal; elsewhere `migctl status --watch`.

    \b
    migctl top
    migctl top --url https://events.example.com
    """
    from migctl.config import load, secret
    from migctl.errors import Usage
    from migctl.runtime.afar import Afar

    settings = load(file=config)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Usage(
            "top needs a terminal", do="elsewhere: `migctl status --watch`, `migctl rollout status --watch`"
        )

    async def work() -> bool:
        afar = Afar(url, secret("MIGCTL_TOKEN")) if url is not None else None
        try:
            shown = _Top(settings, afar)
            await shown.run()
            return shown.interrupted
        finally:
            if afar is not None:
                await afar.aclose()

    if context.run(work()):
        output.note("interrupted")
        raise typer.Exit(Exit.INTERRUPTED)


class _Top:
    """Asks serve and the record, each in its own time; draws; does what a person confirmed.

    afar: None is the serve of the state folder.
    """

    def __init__(self, settings: Settings, afar: Afar | None) -> None:
        from migctl.cli.top_keys import Keys
        from migctl.cli.top_view import Shown

        self._settings = settings
        self._afar = afar
        self._keys = Keys(afar=afar is not None)
        self._shown: Shown = Shown()
        self._quit = asyncio.Event()
        self.interrupted = False
        self._news = asyncio.Event()
        self._acting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        from rich.live import Live

        from migctl.cli.top_view import view
        from migctl.clock import now

        with (
            _keys_at_once(sys.stdin.fileno()),
            Live(console=output.console(), screen=True, auto_refresh=False) as live,
        ):
            loop = asyncio.get_running_loop()
            loop.add_reader(sys.stdin.fileno(), self._typed)
            try:
                async with asyncio.TaskGroup() as group:
                    asking = [group.create_task(self._ask_serve()), group.create_task(self._ask_rollout())]
                    while not self._quit.is_set():
                        self._shown.prompt = self._keys.prompt
                        live.update(view(self._shown, now()), refresh=True)
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(EVERY_S):
                                await self._news.wait()
                        self._news.clear()
                    for task in asking:
                        task.cancel()
                    if self._acting is not None:
                        await self._acting  # what was confirmed is done
            finally:
                loop.remove_reader(sys.stdin.fileno())

    def _typed(self) -> None:
        try:
            typed = os.read(sys.stdin.fileno(), 1024).decode("utf-8", "ignore")
        except BlockingIOError:
            return
        wanted = self._keys.feed(typed) if typed else "quit"  # the terminal is gone
        if wanted == "quit" or wanted == "interrupt":  # noqa: PLR1714 - so that the rest is known to be an act
            self.interrupted = wanted == "interrupt"
            self._quit.set()
        elif wanted is not None:
            if self._acting is not None and not self._acting.done():
                self._keys.hint = "the last is still being done"
            else:
                self._keys.hint = f"{wanted.act}: being done"
                self._acting = asyncio.ensure_future(self._act(wanted))
        self._shown.notice = self._keys.hint
        self._news.set()

    async def _act(self, wanted: Wanted) -> None:
        from migctl.errors import MigctlError

        try:
            self._shown.notice = await _done(self._settings, self._afar, wanted, self._shown.status)
        except MigctlError as error:
            self._shown.notice = f"{wanted.act}: {error.what}; {error.do}"
        self._news.set()

    async def _ask_serve(self) -> None:
        from migctl.cli.top_view import HISTORY
        from migctl.errors import MigctlError

        of = self._shown
        while True:
            try:
                of.status = await self._status()
            except MigctlError as error:
                of.status, of.trouble = None, f"{error.what}\n{error.do}"
            if of.status is not None and of.status.relay is not None:
                of.backlog = [*of.backlog, of.status.relay.backlog][-HISTORY:]
            self._news.set()
            await asyncio.sleep(EVERY_S)

    async def _ask_rollout(self) -> None:
        from migctl.errors import MigctlError

        of = self._shown
        while True:
            try:
                of.rollout = await self._rollout()
            except MigctlError as error:
                of.rollout, of.rollout_trouble = None, error.what
            self._news.set()
            await asyncio.sleep(ROLLOUT_EVERY_S)

    async def _status(self) -> ServeStatus:
        from migctl.serve_client.status import status_of

        asked = self._afar.status() if self._afar is not None else status_of(self._settings.state)
        return (await asked).status

    async def _rollout(self) -> RolloutStatus:
        from migctl.runtime.afar import rollout_by
        from migctl.runtime.rollout import control
        from migctl.runtime.rollout_status import status_of
        from migctl.serve_client.control import reached
        from migctl.serve_client.errors import NotRunning, NotUnderstood

        if self._afar is not None:
            return await self._afar.rollout()
        # What serve goes by, which need not be what this shell's environment names.
        with contextlib.suppress(NotRunning, NotUnderstood):
            async with reached(self._settings.state) as http:
                return await rollout_by(http)
        # Anew each time: the stack may have been started meanwhile.
        async with control(self._settings, lambda _: None, start=False) as at:
            return await status_of(at)


async def _done(settings: Settings, afar: Afar | None, wanted: Wanted, shown: ServeStatus | None) -> str:
    """Do it, and say in a line what became of it. shown: the status on the screen. Raises Usage where it is of another target."""
    from migctl.cli import rollout_view
    from migctl.config.person import operator
    from migctl.runtime import rollout_document, rollout_moves
    from migctl.runtime.rollout_wish import Wish
    from migctl.runtime.steering import throttle_of
    from migctl.server.routes.ctl import ChangeThrottle

    if afar is not None and wanted.act in ("pause", "abort"):
        return await afar.move("pause" if wanted.act == "pause" else "abort", wanted.reason)
    if wanted.act in ("throttle", "no-throttle"):
        hold = wanted.act == "throttle"
        changed = await throttle_of(
            settings.state, ChangeThrottle(hold=hold, by=operator(), reason=wanted.reason)
        )
        unkept = f"; not kept: {changed.unkept}" if changed.unkept is not None else ""
        return ("throttled" if hold else "no longer throttled") + unkept
    _check_target(settings, shown)
    wish = Wish(operator(), wanted.reason, lambda _: (), False, lambda _: None)
    effect = await (rollout_moves.abort if wanted.act == "abort" else rollout_moves.pause)(settings, wish)
    wanting = rollout_document.wanting(effect)
    return "; ".join([*rollout_view.after(effect), *(wanting or ())])


def _check_target(settings: Settings, shown: ServeStatus | None) -> None:
    """What is moved is what was shown: a shell may name another target than the one that serve was started with."""
    from migctl.errors import Usage
    from migctl.runtime.rollout import at_hand

    here = at_hand(settings)
    if shown is not None and shown.target is not None and (here is None or here.name != shown.target):
        raise Usage(
            f"serve runs on {shown.target}, and this shell names {here.name if here is not None else 'none'}",
            do="set SUPABASE_URL and its keys as for serve, or move it with --url and a token",
        )


@contextlib.contextmanager
def _keys_at_once(terminal: int) -> Iterator[None]:
    """Each key comes when it is pressed, Ctrl-C too, and none is echoed; as it was afterwards."""
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        raw = termios.tcgetattr(terminal)
        raw[3] &= ~termios.ISIG
        termios.tcsetattr(terminal, termios.TCSADRAIN, raw)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
