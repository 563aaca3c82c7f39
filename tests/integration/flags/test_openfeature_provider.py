"""The OpenFeature provider in the process, on a real record and a real Redis, which change and go away; and as OFREP answers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from migctl.config import Settings, Target
from migctl.flags.record import Record
from migctl.flags.snapshot import Brake, Snapshot
from migctl.openfeature import MigctlProvider
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.flagging import USERS, flagging, write_share
from tests.kit.managed import EVALUATE, managing

NAME = "local/public"
ANN = EvaluationContext("ann")
BRAKE = Brake(id="b1", flag="transport", max_percent=0, split="everything")


@contextlib.contextmanager
def provided(folder: Path, target: Target) -> Iterator[MigctlProvider]:
    provider = MigctlProvider(folder=folder, settings=Settings(), target=target)
    api.set_provider_and_wait(provider)
    try:
        yield provider
    finally:
        api.clear_providers()


def transport() -> FlagEvaluationDetails[str]:
    return api.get_client().get_string_details("transport", "mine", ANN)


async def test_change_and_brake_are_seen_it_is_not_listed_and_ofrep_says_the_same(
    target: Target, record: Record, tmp_path: Path
) -> None:
    await write_share(record, 50)
    with provided(tmp_path / "app", target) as provider, managing(tmp_path / "serve", target) as serve:
        ofrep = OFREPProvider(serve.url, headers_factory=lambda: {"Authorization": f"Bearer {EVALUATE}"})
        for user in USERS[:50]:
            context = EvaluationContext(user)
            here = provider.resolve_string_details("transport", "mine", context)
            there = ofrep.resolve_string_details("transport", "mine", context)
            assert (here.value, here.variant, here.reason) == (there.value, there.variant, there.reason)
        # The serve is known by its address. Nobody waits for an application to confirm a brake.
        await until(lambda: provider._service is not None and len(provider._service.registration.known) == 1)
        assert [one.url for one in (await record.read()).processes] == [serve.url]

        await record.brake(BRAKE)
        await until(lambda: transport().flag_metadata.get("migctl_reason") == "BRAKED")
        assert (transport().variant, transport().reason) == ("websocket", Reason.TARGETING_MATCH)


async def test_with_record_and_redis_away_it_answers_as_before_and_after_a_restart_stale(
    target: Target, record: Record, process: StandinProcess, valkey: Valkey, tmp_path: Path
) -> None:
    with_redis = replace(target, redis_url=valkey.url)
    stale, back = threading.Event(), threading.Event()
    client = api.get_client()
    await write_share(record, 100)
    with provided(tmp_path / "app", with_redis):
        client.add_handler(ProviderEvent.PROVIDER_STALE, lambda _: stale.set())
        assert (transport().variant, transport().reason) == ("realtime", Reason.TARGETING_MATCH)
        process.stop()
        valkey.stop()
        await until(stale.is_set)
        assert (transport().variant, transport().reason) == ("realtime", Reason.TARGETING_MATCH)
    with provided(tmp_path / "app", with_redis):
        # Nobody knows what the record says today: everybody has what everybody had before.
        assert (transport().variant, transport().reason) == ("websocket", Reason.STALE)
        process.start()
        await until(lambda: transport().variant == "realtime")
        client.add_handler(ProviderEvent.PROVIDER_READY, lambda _: back.set())
        await until(back.is_set)


async def test_brake_that_only_redis_has_is_seen_and_outlives_a_restart(
    target: Target, record: Record, valkey: Valkey, tmp_path: Path
) -> None:
    with_redis = replace(target, redis_url=valkey.url)
    await write_share(record, 100)
    with provided(tmp_path / "app", with_redis):
        async with flagging(tmp_path / "serve", target, redis_url=valkey.url) as serve:
            await until(serve._is_pushed)
            assert (await serve.hear(Snapshot(target=NAME, brakes={"b1": BRAKE}))).confirmed
            await until(lambda: transport().variant == "websocket")
    valkey.stop()
    with provided(tmp_path / "app", target):
        assert transport().variant == "websocket"
