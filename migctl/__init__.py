"""migctl: move a live event stream from your own WebSocket to Supabase Realtime while it runs, and prove that nothing was lost."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("migctl")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"

__all__ = ["Discontinuity", "Release", "Subscriber", "__version__"]

# Imported when they are first used: they bring client libraries that the command line does not always need. `__init__.pyi` tells
# type checkers what they are.
_WHERE = {
    "Discontinuity": "migctl.subscriber.release",
    "Release": "migctl.subscriber.release",
    "Subscriber": "migctl.subscriber.whole",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'migctl' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
