"""migctl: move a live event stream from your own WebSocket to Supabase Realtime while it runs, and prove that nothing was lost."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("migctl")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"

__all__ = ["__version__"]
