"""The project's keys: others in place of those that everybody has, and given to everybody a while later."""

from __future__ import annotations

import signal

from migctl.drills.functions.registry import Armed, Nothing, fault
from migctl.drills.world.deployment import Deployment

# What a stop may take: serve says goodbye to subscribers, and gives up on a table that refuses it.
_STOP_S = 20.0


@fault("rotate-keys", Nothing, needs="standin")
def rotate_keys(on: Deployment, _: Nothing) -> Armed:
    """The project has a new JWT secret and new keys, and refuses the old ones; `serve` and readers get them when it is lifted."""
    on.stack.rotate_keys()
    return Armed(lambda: give_keys(on), "JWT secret, anon and service_role")


def give_keys(on: Deployment) -> None:
    """Readers have the keys of now, and serve is started again with them, as an operator restarts it for a new environment."""
    if on.give_keys() and on.serve is not None and on.serve.alive:
        on.serve.stop(signal.SIGTERM, _STOP_S)
        on.begin_serve()
