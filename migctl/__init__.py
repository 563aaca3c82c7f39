"""migctl: move a live event stream from your own WebSocket to Supabase Realtime while it runs, and prove that nothing was lost."""

import contextlib
from importlib import import_module
from typing import Any

__all__ = [
    "Discontinuity",
    "NewEvent",
    "Position",
    "Published",
    "Publisher",
    "Release",
    "Subscriber",
    "__version__",
]

# Imported when they are first used: they bring client libraries that the command line does not always need. `__init__.pyi` tells
# type checkers what they are.
_WHERE = {
    "Discontinuity": "migctl.subscriber.core.release",
    "NewEvent": "migctl.publisher.drafts",
    "Position": "migctl.events",
    "Published": "migctl.publisher.drafts",
    "Publisher": "migctl.publisher.publisher",
    "Release": "migctl.subscriber.core.release",
    "Subscriber": "migctl.subscriber.subscriber",
}


def _version() -> str:
    # 50 ms that a comparing process or a completion needn't pay.
    from importlib.metadata import PackageNotFoundError, version

    for distribution in ("migctl", "migctl-client"):
        with contextlib.suppress(PackageNotFoundError):
            return version(distribution)
    return "0"  # a source tree that was never installed


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _WHERE:
        raise AttributeError(f"module 'migctl' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
