"""Whatever a server says on a channel, it is something, nothing, or an error of ours."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migctl.errors import Systemic, Transient
from migctl.transports.realtime import frames
from migctl.transports.realtime.canary import moment_of, number_of
from migctl.transports.realtime.exchange import Broadcast, Change, Exchange
from tests.property.target.test_readers import cut, documents

TOPIC = "realtime:t"
events = st.sampled_from(
    ["phx_reply", "broadcast", "postgres_changes", "system", "phx_close", "phx_error", "x"]
)
payloads = st.dictionaries(
    st.sampled_from(["status", "response", "payload", "event", "message", "extension", "data"]),
    documents
    | st.sampled_from(["ok", "error", "postgres_changes", "canary"])
    | st.dictionaries(st.sampled_from(["reason", "record", "from", "n", "updated_at"]), documents),
)
near = st.fixed_dictionaries(
    {"event": events | documents},
    optional={
        "topic": st.just(TOPIC) | documents,
        "ref": st.sampled_from(["1", 1, "2"]) | documents,
        "payload": payloads | documents,
    },
).map(lambda value: json.dumps(value).encode())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(near | cut(), max_size=3), st.booleans())
def test_whatever_is_heard_is_an_error_of_ours_or_none(texts: list[bytes], changes: bool) -> None:
    exchange = Exchange([TOPIC], changes=changes)
    exchange.joins(TOPIC)
    exchange.pushes(TOPIC, 0.0)
    for text in texts:
        try:
            frame = frames.decode(text)
        except ValueError:
            continue
        try:
            meaning = exchange.hears(frame)
        except (Transient, Systemic) as error:
            assert error.what.isprintable()
            assert len(error.what) < 1000
            continue
        if isinstance(meaning, Broadcast):
            number_of(meaning.event, meaning.payload, "us")
        if isinstance(meaning, Change):
            moment_of(meaning.data)
