"""Subscriber: receives the stream over one transport and hands it out whole, in order, each id once.

`RealtimeSubscriber` is in `migctl.subscriber.realtime`, `WebsocketSubscriber` in `migctl.subscriber.websocket`: each brings its own
client library, and who needs one need not wait for the other.
"""

from migctl.subscriber.release import Discontinuity, Release, encode_release

__all__ = ["Discontinuity", "Release", "encode_release"]
