"""Rolling: the rollout as a `serve` shows it and moves it over HTTP: the moves of the command line, and its refusals.

What is shown is asked for at most once a second, however many ask. A move asks the record, Redis and the processes itself; down
works with all of them away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from migctl import clock
from migctl.config import Settings
from migctl.errors import Usage, Wanting
from migctl.flags.shares import ALL
from migctl.rollout import drills
from migctl.rollout.report import RolloutStatus
from migctl.rollout.steps import percent_of
from migctl.runtime import rollout_moves
from migctl.runtime.rollout import control
from migctl.runtime.rollout_document import document, wanting
from migctl.runtime.rollout_status import status_of
from migctl.runtime.rollout_wish import Effect, Proposed, Wish
from migctl.server.routes.rollout_api import Drills, Order, Shown
from migctl.telemetry import get_logger

FRESH_S = 1.0
MOST_DRILLS = 20
# Going down waits for none, and a `set` may be that.
WANT_REASON = ("pause", "resume", "promote")

log = get_logger("rollout")


class Rolling:
    """Of one `serve`. settings: with which it was started. on_moved: called after each move that was done."""

    def __init__(self, settings: Settings, *, on_moved: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._on_moved = on_moved
        self._asking = asyncio.Lock()
        self._found: RolloutStatus | None = None
        self._found_at = float("-inf")

    async def status(self) -> RolloutStatus:
        """Raises Refused where a file is the record, Usage where a stage's file is wrong."""
        async with self._asking:
            if self._found is None or clock.mono() - self._found_at > FRESH_S:
                async with control(self._settings, _unheard, start=False) as at:
                    self._found = await status_of(at)
                self._found_at = clock.mono()
            return self._found

    async def drills(self) -> Drills:
        """The newest, the last one last. Raises Usage where their file can't be read."""
        return Drills((await asyncio.to_thread(drills.read, self._settings.state))[-MOST_DRILLS:])

    async def move(self, order: Order, actor: str) -> dict[str, object]:
        """Do it, or say what it would do. Raises as the commands do."""
        if order.action in WANT_REASON and not order.dry_run and not order.reason.strip():
            raise Usage(f"{order.action}: no reason", do="send a reason: it is in the history")
        notes: list[str] = []
        wish = Wish(actor, order.reason, Asked(order), order.dry_run, notes.append)
        effect = await self._move(order, wish)
        self._found = None
        found = document(effect)
        wrong = wanting(effect)
        found["wrong"] = {"what": wrong[0], "do": wrong[1]} if wrong is not None else None
        found["notes"] = notes
        if not order.dry_run:
            self._on_moved()
            log.info("rollout moved", command=effect.proposed.command, actor=actor, reason=order.reason)
        return found

    async def _move(self, order: Order, wish: Wish) -> Effect:
        match order.action:
            case "set":
                if order.percent is None:
                    raise Usage("set: no percent", do="send percent, 0 to 100")
                share = percent_of(f"{order.percent:g}")
                return await rollout_moves.set_share(self._settings, share, order.segment or ALL, wish)
            case "pause":
                return await rollout_moves.pause(self._settings, wish)
            case "resume":
                return await rollout_moves.resume(self._settings, wish)
            case "promote":
                return await rollout_moves.promote(self._settings, wish, force=False)
            case "abort":
                return await rollout_moves.abort(self._settings, wish)


class Asked:
    """Whoever asks was shown what an earlier dry run answered; which brakes they read of is in `lift`.

    Raises Usage for a raise without a reason, Wanting for one that is no longer what was shown.
    """

    def __init__(self, order: Order) -> None:
        self._order = order

    def __call__(self, proposed: Proposed) -> Collection[str]:
        order = self._order
        if order.dry_run or not proposed.asks:
            return order.lift
        if not order.reason.strip():
            raise Usage(
                f"{proposed.command} on {proposed.where}: users get Realtime by this, and there is no reason",
                do="send a reason",
            )
        now = Shown(proposed.after, proposed.stage)
        if order.shown is not None and order.shown != now:
            raise Wanting(
                f"{proposed.command} on {proposed.where} is no longer what was shown: {_words(order.shown)} then, "
                f"{_words(now)} now",
                do="somebody else moved it meanwhile: see where it stands, and ask for it again",
            )
        return order.lift


def _words(of: Shown) -> str:
    return f"{of.stage or 'no stage'} with {'no' if of.percent is None else f'{of.percent:g}'} %"


def _unheard(_: str) -> None:
    """Nobody is at a terminal: what is shown says it."""
