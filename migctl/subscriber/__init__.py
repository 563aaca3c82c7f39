"""Subscriber: receives the stream and hands it out whole, in order, each id once.

Three wings: `core` is what every subscriber is, `gateway` receives over the WebSocket, `realtime` over Supabase. Each of the two
brings its own client library, and who needs one need not wait for the other. `subscriber.Subscriber` is both over one merge.
"""

from migctl.subscriber.core.release import Discontinuity, Release, encode_release

__all__ = ["Discontinuity", "Release", "encode_release"]
