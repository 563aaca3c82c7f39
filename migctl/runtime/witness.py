"""The witness: put together as the settings and the environment say, and kept alive beside a `serve`, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from migctl.config import Settings, Target, secret
from migctl.config.files import make_private_folder, open_private_log
from migctl.errors import Transient
from migctl.events import Position
from migctl.resilience import Backoff, Retry
from migctl.runtime.flags import record_of
from migctl.runtime.target import resolve
from migctl.server.access.held import HeldTokens
from migctl.server.access.tokens import mint_token
from migctl.status import watching
from migctl.telemetry import get_logger
from migctl.validate.witness.state import write_bounds
from migctl.validate.witness.trouble import Bounds

if TYPE_CHECKING:
    from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
    from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
    from migctl.validate.witness.witness import Witness

LOG = "witness.log"
ENDS_WITHIN_S = 6.0
# A witness that lasted this long did not fail at its start.
SETTLED_S = 30.0
RESTART = Backoff(0.5, 30.0)

log = get_logger("witness")


@contextlib.asynccontextmanager
async def witness_of(
    settings: Settings,
    url: str | None,
    *,
    bounds: Bounds,
    write: bool = True,
    notify: Callable[[str], None] = lambda _: None,
    kept: bool = False,
) -> AsyncIterator[Witness]:
    """url: of the serve that is watched; None is that of the settings. kept: by that serve.

    Raises Usage where the target lacks a part.
    """
    from migctl.delivery.classes import Rates
    from migctl.serve_client import ServeHttp
    from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
    from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
    from migctl.validate.witness.windows import Limits
    from migctl.validate.witness.witness import Witness

    target = await resolve(settings, need=("anon_key", "service_role_key"), notify=notify)
    access_token = access_token_of(settings, target)
    token = secret("MIGCTL_TOKEN")
    headers = {watching.CLIENT: watching.WITNESS}
    http = ServeHttp(url or f"http://{settings.listen}", token=token, headers=headers)

    def websocket(position: Position | None) -> WebsocketSubscriber:
        return WebsocketSubscriber(
            f"ws{http.url.removeprefix('http')}/ws?client=witness", token=token, position=position
        )

    def realtime(position: Position | None) -> RealtimeSubscriber:
        return RealtimeSubscriber(
            target.supabase_url,
            target.need("anon_key"),
            access_token,
            schema=settings.supabase.schema_,
            live=settings.realtime.live,
            position=position,
        )

    record = record_of(settings, target) if write else None
    try:
        yield Witness(
            http=http,
            makes={"websocket": websocket, "realtime": realtime},
            record=record,
            folder=settings.state,
            limits=Limits(window_s=settings.evidence.window_s, grace_s=settings.evidence.grace_s),
            bounds=bounds,
            webhook=settings.alerts.webhook,
            classes=settings.relay.classes,
            rates=Rates(**settings.relay.rates.model_dump()),
            notify=notify,
            kept=kept,
        )
    finally:
        await http.aclose()
        if record is not None:
            await record.aclose()


def access_token_of(settings: Settings, target: Target) -> Callable[[], Awaitable[str]]:
    """Tokens of role authenticated. Raises Usage where nothing here can make one."""
    from migctl.target.authenticated import need_authenticated

    authenticated = need_authenticated(target, settings)

    async def access_token() -> str:
        return (await authenticated.token()).text

    return access_token


def bounds_of(settings: Settings) -> Bounds:
    """What a window has to hold."""
    of = settings.evidence
    return Bounds(
        min_match_percent=of.min_match_percent,
        max_lost=of.max_lost,
        min_availability_percent=of.min_availability_percent,
    )


def with_witness(tokens: HeldTokens) -> str | None:
    """One more that only our witness knows; None where nobody is asked for one."""
    if not tokens:
        return None
    text, token = mint_token("subscribe", "witness")
    tokens.own(token)
    return text


class KeptWitness:
    """`run` until cancelled: a witness of this serve, started again when it ends.

    token: that it shows there, None where nobody asks for one. config: the settings' file.
    """

    def __init__(self, settings: Settings, *, token: str | None, config: Path | None) -> None:
        self._folder = settings.state
        self._token = token
        self._process: asyncio.subprocess.Process | None = None
        self._program = [sys.executable, "-m", "migctl", "validate", "watch", "--kept"]
        self._program += ["--config", str(config)] if config is not None else []

    def follow(self, settings: Settings) -> None:
        """What a window has to hold by these settings, from the next one on."""
        try:
            write_bounds(self._folder, bounds_of(settings))
        except OSError as error:
            log.warning("the witness goes by the bounds that it had", reason=error.strerror or str(error))

    def again(self) -> None:
        """End the one that runs; the next one reads keys and files anew."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def run(self, url: str) -> None:
        """url: of the serve."""
        retry = Retry(RESTART)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                why = f"it ended with exit code {await self._once(url)}"
            except OSError as error:
                why = error.strerror or str(error)
            if loop.time() - began >= SETTLED_S:
                retry.succeeded()
            failure = retry.failed(Transient(why, do=f"see {self._folder / LOG}"))
            log.log(
                failure.level,
                "the witness ended: it is started again",
                reason=why,
                log=str(self._folder / LOG),
            )
            await retry.wait(least_s=0.1)

    async def _once(self, url: str) -> int:
        environ = {**os.environ, "MIGCTL_STATE_DIR": str(self._folder)}
        if self._token is not None:
            environ["MIGCTL_TOKEN"] = self._token
            environ.pop("MIGCTL_TOKEN_FILE", None)
        make_private_folder(self._folder)
        with open_private_log(self._folder / LOG) as out:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._program,
                "--url",
                url,
                stdin=asyncio.subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=environ,
                start_new_session=True,
            )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
