"""Changes of the database for channels that asked for them. (The streaming part follows.)"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from migctl.stack.standin.auth import Identity
from migctl.stack.standin.realtime.authorize import Unavailable
from migctl.stack.standin.realtime.config import Binding
from migctl.stack.standin.realtime.hub import Listener


class BadBinding(Exception):
    """A binding that can't be served: asking again would not help."""


class Feed:
    """A subscription that holds."""

    def close(self) -> None:
        """End it."""


class Changes:
    """Who subscribed to what."""

    async def subscribe(
        self,
        topic: str,
        bindings: Sequence[Binding],
        identity: Identity,
        listener: Listener,
        lost: Callable[[], None],
    ) -> Feed:
        """Raises BadBinding or Unavailable."""
        raise Unavailable("not yet")
