"""How long one evaluation takes: one rule and a split of 25 %, five attributes; ours beside others, in the same run.

And what it costs that a user was handed the answer: the exposure log, for who is in it today and for who is new, and a sticky
experiment. Only who is new waits to be written, by a thread; it is not counted here.

    ./dev run --with growthbook --with UnleashClient python benchmarks/flags.py

Peers that are not installed are named and left out. Prints nanoseconds of CPU time, the median of several rounds, and each one's
ratio to ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from migctl.experiments.document import Experiment, Experiments, ExposuresSection
from migctl.experiments.exposures import MOST_WAITING, Exposures
from migctl.experiments.keeping import Keeping
from migctl.flags.assignment import Assignments, Switch
from migctl.flags.definitions import read
from migctl.flags.evaluator import Compiled
from migctl.flags.holder import Holder
from migctl.flags.registration import Registration
from migctl.flags.service import FlagService
from migctl.flags.shares import Shares
from migctl.flags.snapshot import Brake, Row, Snapshot

AIM_NS = 600.0
ROUNDS = 15
# CPU time of this thread: what else the machine does is not in it.
TIMER = time.thread_time
ATTRIBUTES = {"tier": "gold", "region": "eu-1", "build": 17, "beta": False, "email": "user@example.org"}
USER = "user-12345"
EVALUATORS = {"segment.internal": {"ends_with": [{"var": "targetingKey"}, "@example.org"]}}
DOCUMENT = {
    "flags": {
        "transport": {
            "state": "ENABLED",
            "variants": {"realtime": "realtime", "websocket": "websocket"},
            "defaultVariant": "websocket",
            "targeting": {
                "if": [
                    {"==": [{"var": "tier"}, "internal"]},
                    "realtime",
                    {"fractional": [["realtime", 25], ["websocket", 75]]},
                ]
            },
        }
    }
}


def ours() -> Callable[[], Any]:
    compiled = Compiled(read(DOCUMENT))
    context = {**ATTRIBUTES, "targetingKey": USER}
    return lambda: compiled.evaluate("transport", context)


def assignment() -> Callable[[], Any]:
    """Of a user, with a segment and a brake: what `/api/transport` asks."""
    shares = Shares("realtime", "websocket", segments={"internal": 100}, percent=25)
    flag = {**DOCUMENT["flags"]["transport"], "targeting": shares.targeting()}
    snapshot = Snapshot(target="t").with_row(
        Row(n=1, id="a", document={"flags": {"transport": flag}, "$evaluators": EVALUATORS})
    )
    snapshot = snapshot.with_brake(Brake(id="b", flag="transport", max_percent=10))
    assignments = Assignments(Switch("transport", "realtime", "websocket"), snapshot)
    return lambda: assignments.assign(USER)


def handed(folder: Path, *, logged: bool, sticky: bool) -> Callable[[], Any]:
    """An answer to one user, and that it was handed over; the user was there before."""
    service = _service(folder, logged=logged, sticky=sticky)
    return lambda: service.served(USER, service.assign(USER), "websocket")


def newcomers(folder: Path, *, logged: bool, sticky: bool) -> float:
    """Nanoseconds, the median of the rounds: the same to users of whom each is new today."""
    rounds: list[float] = []
    for number in range(ROUNDS):
        service = _service(folder / str(number), logged=logged, sticky=sticky)
        users = (f"user-{each}" for each in count())

        def once(service: FlagService = service, users: Any = users) -> None:
            user = next(users)
            service.served(user, service.assign(user), "websocket")

        rounds.append(1e9 * timeit.timeit(once, number=MOST_WAITING // 4, timer=TIMER) / (MOST_WAITING // 4))
    return statistics.median(rounds)


def _service(folder: Path, *, logged: bool, sticky: bool) -> FlagService:
    flag = {
        **DOCUMENT["flags"]["transport"],
        "targeting": Shares("realtime", "websocket", percent=25).targeting(),
    }
    snapshot = Snapshot(target="t").with_row(Row(n=1, id="a", document={"flags": {"transport": flag}}))
    holder = Holder(Switch("transport", "realtime", "websocket"), "t", None, blind=False)
    asyncio.run(holder.hear(snapshot))
    service = FlagService(holder, Registration(None, "p", "p", None))
    of = Experiments(exposures=ExposuresSection(), experiments={"transport": Experiment(sticky=sticky)})
    exposures, keeping = Exposures(folder, of), Keeping(folder, of)
    if logged:
        exposures.begin()
        service.keep_exposures(exposures)
    if sticky:
        keeping.begin()
        service.keep_variants(keeping)
    return service


def flagd_core() -> Callable[[], Any]:
    from openfeature.contrib.tools.flagd.core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext

    core = FlagdCore()
    core.set_flags(json.dumps(DOCUMENT))
    context = EvaluationContext(USER, ATTRIBUTES)
    return lambda: core.resolve_string_value("transport", "websocket", context)


def _in_memory() -> Any:
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    def rule(flag: Any, context: Any) -> Any:
        variant = "realtime" if context.attributes["tier"] == "internal" else "websocket"
        return FlagResolutionDetails(flag.variants[variant], variant=variant, reason=Reason.TARGETING_MATCH)

    variants = {"realtime": "realtime", "websocket": "websocket"}
    return InMemoryProvider({"transport": InMemoryFlag("websocket", variants, context_evaluator=rule)})


def in_memory_provider() -> Callable[[], Any]:
    from openfeature.evaluation_context import EvaluationContext

    provider, context = _in_memory(), EvaluationContext(USER, ATTRIBUTES)
    return lambda: provider.resolve_string_details("transport", "websocket", context)


def openfeature_client() -> Callable[[], Any]:
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext

    api.set_provider(_in_memory())
    client, context = api.get_client(), EvaluationContext(USER, ATTRIBUTES)
    return lambda: client.get_string_details("transport", "websocket", context)


def growthbook() -> Callable[[], Any]:
    from growthbook import GrowthBook

    rules = [
        {"condition": {"tier": "internal"}, "force": "realtime"},
        {"variations": ["realtime", "websocket"], "weights": [0.25, 0.75]},
    ]
    book = GrowthBook(
        attributes={**ATTRIBUTES, "id": USER},
        features={"transport": {"defaultValue": "websocket", "rules": rules}},
    )
    return lambda: book.get_feature_value("transport", "websocket")


def unleash() -> Callable[[], Any]:
    from UnleashClient import UnleashClient

    logging.getLogger("UnleashClient").setLevel(logging.CRITICAL)
    parameters = {"rollout": "25", "stickiness": "userId", "groupId": "transport"}
    strategies = [
        {"name": "userWithId", "parameters": {"userIds": "internal"}},
        {"name": "flexibleRollout", "parameters": parameters},
    ]
    client = UnleashClient("http://127.0.0.1:9", "bench", disable_metrics=True, disable_registration=True)
    client._engine.take_state(
        json.dumps(
            {"version": 2, "features": [{"name": "transport", "enabled": True, "strategies": strategies}]}
        )
    )
    context = {"userId": USER, "properties": {key: str(value) for key, value in ATTRIBUTES.items()}}
    return lambda: client.is_enabled("transport", context)


def measured(call: Callable[[], Any]) -> float:
    """Nanoseconds a call, the median of the rounds, less those of an empty call."""
    number = max(
        200, int(20_000_000 / (1 + 1e9 * min(timeit.repeat(call, number=200, repeat=3, timer=TIMER)) / 200))
    )
    rounds = timeit.repeat(call, number=number, repeat=ROUNDS, timer=TIMER)
    return 1e9 * statistics.median(rounds) / number


def print_handed(empty: float) -> None:
    """An answer that is handed to a user, with what is kept of it."""
    rows = (
        ("", False, False),
        (", in the exposure log", True, False),
        (", in the log and sticky", True, True),
    )
    base = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        for name, logged, sticky in rows:
            where = Path(folder, name or "none")
            took = (
                measured(handed(where / "one", logged=logged, sticky=sticky)) - empty,
                newcomers(where, logged=logged, sticky=sticky) - empty,
            )
            base = base if name else list(took)
            for of, who in enumerate(("who was there", "new today")):
                more = f"   {took[of] - base[of]:+8,.0f} ns" if name else ""
                print(f"{f'an answer to one {who}{name}':60} {took[of]:8,.0f} ns{more}")


def main() -> int:
    empty = measured(lambda: None)
    print(
        f"an empty call {empty:.0f} ns, taken off below; one user, one rule, a split of 25 %, five attributes"
    )
    base = 0.0
    for name, make in (
        ("migctl, a flag", ours),
        ("migctl, an assignment under a brake", assignment),
        ("OpenFeature InMemoryProvider, no bucketing", in_memory_provider),
        ("OpenFeature client over it", openfeature_client),
        ("growthbook", growthbook),
        ("openfeature-flagd-core", flagd_core),
        ("UnleashClient", unleash),
    ):
        try:
            call = make()
            call()
        except ImportError as error:
            print(f"{name:44} not installed: {error.name}")
            continue
        took = measured(call) - empty
        base = base or took
        print(f"{name:44} {took:8,.0f} ns   {took / base:6.1f} x")
    print_handed(empty)
    print(f"aim: a flag below {AIM_NS:.0f} ns: {'met' if base < AIM_NS else 'MISSED'}")
    return 0 if base < AIM_NS else 1


if __name__ == "__main__":
    sys.exit(main())
