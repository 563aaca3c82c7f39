"""Redis: a push and a cache of flags for all processes of one target; never the record.

What is there is merged by a script, never overwritten: an old process that hands on what it holds takes nothing away. A store that
lost its data, or comes back with old ones, only knows less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from migctl import clock
from migctl.errors import MigctlError, Systemic, Transient
from migctl.events.jsontext import read_as
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.resilience import Backoff, Connection, Retry, raise_if_cancelled
from migctl.telemetry import get_logger

ANSWERS_WITHIN_S = 1.0
# A push can be lost; what a process reads at least this often can't be missed for longer.
READ_EVERY_S = 5.0

log = get_logger("flags")

# Fields: target, n, row:ID, brake:ID, lift:ID. Answers 1 where something is new, which is then published.
_MERGE = """
local key, said = KEYS[1], cjson.decode(ARGV[1])
local has = redis.call('HGET', key, 'target')
if has and has ~= said.target then return redis.error_reply('OTHERTARGET ' .. has) end
redis.call('HSET', key, 'target', said.target)
local changed = 0
local n = tonumber(redis.call('HGET', key, 'n') or '0')
if #said.rows > 0 and said.n > n then
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 4) == 'row:' then redis.call('HDEL', key, field) end
  end
  redis.call('HSET', key, 'n', string.format('%.0f', said.n))
  n = said.n
end
if said.n == n then
  for _, row in ipairs(said.rows) do changed = math.max(changed, redis.call('HSETNX', key, 'row:' .. row[1], row[2])) end
end
for _, brake in ipairs(said.brakes) do changed = math.max(changed, redis.call('HSETNX', key, 'brake:' .. brake[1], brake[2])) end
for _, lift in ipairs(said.lifts) do
  local at = redis.call('HGET', key, 'lift:' .. lift[1])
  if not at or tonumber(at) > lift[2] then
    redis.call('HSET', key, 'lift:' .. lift[1], string.format('%.0f', lift[2]))
    changed = 1
  end
end
if changed == 1 then redis.call('PUBLISH', KEYS[2], 'changed') end
return changed
"""


class RedisStore:
    """Of one target.

    heard: given what the store has, at the beginning, after each push and after each reconnect, and now and then.
    noticed: told when it is lost, or reached again.
    """

    def __init__(
        self,
        url: str,
        target: str,
        heard: Callable[[Snapshot], Awaitable[None]],
        noticed: Callable[[], None] = lambda: None,
    ) -> None:
        digest = hashlib.sha256(target.encode()).hexdigest()[:16]
        self._target = target
        self._heard = heard
        self._noticed = noticed
        # One hash tag for both, as a cluster demands.
        self._key, self._channel = f"migctl:{{{digest}}}:flags", f"migctl:{{{digest}}}:flags:changed"
        self._url = url
        self._client: Redis | None = None
        self._merge: AsyncScript | None = None
        self.connection = Connection(clock.mono())
        self.heard_at: float | None = None  # monotonic seconds

    @property
    def connected(self) -> bool:
        return self.connection.state == "running"

    @property
    def _redis(self) -> Redis:
        """Raises Systemic where the address is none: a cache that can't be had stops nobody from serving."""
        if self._client is None:
            try:
                self._client = Redis.from_url(
                    self._url,
                    socket_connect_timeout=ANSWERS_WITHIN_S,
                    socket_timeout=ANSWERS_WITHIN_S,
                    decode_responses=False,
                )
            except ValueError:  # its text may hold the password
                raise Systemic(
                    "REDIS_URL is no address of a Redis",
                    do="write redis://:PASSWORD@HOST:PORT/0; in the password, write % as %25, @ as %40, / as %2F",
                ) from None
            self._merge = self._client.register_script(_MERGE)
        return self._client

    async def run(self) -> None:
        """Follow the store until cancelled; its outages are survived."""
        retry = Retry(Backoff(0.1, 2.0))
        while True:
            raise_if_cancelled()
            try:
                await self._follow(retry)
            except MigctlError as error:
                retry.failed(error)
                state: Literal["retrying", "paused"] = "retrying" if error.retry else "paused"
                change = self.connection.failed(clock.mono(), state, error.what, error.do)
                if change is not None:
                    log.warning("redis lost", reason=error.what, do=error.do)
                    self._noticed()
            await retry.wait()

    async def _follow(self, retry: Retry) -> None:
        try:
            async with self._redis.pubsub() as pubsub:
                # Subscribed first: what is changed while we read is pushed.
                await pubsub.subscribe(self._channel)
                while True:
                    has = await self.read()
                    self.heard_at = clock.mono()
                    if not self.connected:
                        retry.succeeded()
                        self.connection.succeeded(self.heard_at)
                        log.info("redis reached")
                        self._noticed()
                    await self._heard(has)
                    await self._change(pubsub)
                    raise_if_cancelled()
        except (RedisError, OSError, TimeoutError) as error:
            raise _of(error) from error

    async def _change(self, pubsub: Any) -> None:
        """Return at the next push, or after a while."""
        while (
            message := await pubsub.get_message(ignore_subscribe_messages=False, timeout=READ_EVERY_S)
        ) is not None:
            if message["type"] == "message":
                return

    async def read(self) -> Snapshot:
        """What is there. Raises Transient, Systemic."""
        try:
            fields = await self._redis.hgetall(self._key)
        except (RedisError, OSError, TimeoutError) as error:
            raise _of(error) from error
        raise_if_cancelled()
        return _snapshot(self._target, {_text(name): _text(value) for name, value in fields.items()})

    async def merge(self, snapshot: Snapshot) -> None:
        """Add what it does not have. Raises Transient, Systemic."""
        message = {
            "target": snapshot.target,
            "n": snapshot.n,
            "rows": [[row.id, msgspec.json.encode(row).decode()] for row in snapshot.rows],
            "brakes": [[brake.id, msgspec.json.encode(brake).decode()] for brake in snapshot.brakes.values()],
            "lifts": [[brake_id, n] for brake_id, n in snapshot.lifts.items()],
        }
        _ = self._redis
        assert self._merge is not None
        try:
            await self._merge(keys=[self._key, self._channel], args=[msgspec.json.encode(message)])
        except (RedisError, OSError, TimeoutError) as error:
            raise _of(error) from error
        raise_if_cancelled()

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _snapshot(target: str, fields: Mapping[str, str]) -> Snapshot:
    """What can't be read is passed over: it is a cache, and may be anybody's. Another target's is none of ours, with an alarm."""
    has = fields.get("target", target)
    if has != target:
        log.error("redis has flags of another target; they are passed over", target=has)
        return Snapshot(target=target)
    rows: list[Row] = []
    brakes: dict[str, Brake] = {}
    lifts: dict[str, int] = {}
    for name, value in fields.items():
        kind, _, key = name.partition(":")
        try:
            if kind == "row":
                rows.append(read_as(value, Row))
            elif kind == "brake":
                brakes[key] = read_as(value, Brake)
            elif kind == "lift":
                lifts[key] = int(value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            log.error(
                "redis has a field that can't be read; it is passed over", field=name, reason=str(error)
            )
    snapshot = Snapshot(target=target, brakes=brakes, lifts=lifts)
    for row in rows:
        snapshot = snapshot.with_row(row)
    return snapshot


def _of(error: Exception) -> MigctlError:
    what = f"redis: {type(error).__name__}: {error}"
    if isinstance(error, AuthenticationError):
        return Systemic(what, do="check user and password in REDIS_URL")
    if isinstance(error, ResponseError):
        return Systemic(
            what, do="check that REDIS_URL names a Redis or Valkey that runs Lua scripts, for this target"
        )
    return Transient(what, do="nothing: it is tried again, and the record is asked meanwhile")
