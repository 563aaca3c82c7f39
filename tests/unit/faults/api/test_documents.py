"""What requests say: Toxiproxy's defaults, its errors, and what is refused because it would do nothing."""

from __future__ import annotations

import pytest

from migctl.faults.api.documents import NewProxy, NewToxic, ProxyChange, Refusal, read, toxic_of


def toxic(body: bytes) -> NewToxic:
    return read(body, NewToxic)


def refused(body: bytes) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        toxic_of(toxic(body))
    return caught.value.status, str(caught.value)


def test_a_toxic_is_downstream_for_every_connection_and_has_a_name_by_default() -> None:
    made = toxic_of(
        toxic(b'{"type": "latency", "attributes": null, "stream": null, "toxicity": null, "name": ""}')
    )
    assert (made.stream, made.toxicity, made.name) == ("downstream", 1.0, "latency_downstream")
    assert made.attributes == {"latency": 0, "jitter": 0}


def test_a_toxicity_of_0_stays_0() -> None:
    assert toxic_of(toxic(b'{"type": "timeout", "toxicity": 0}')).toxicity == 0.0


def test_the_stream_is_read_in_any_case_as_there() -> None:
    assert toxic_of(toxic(b'{"type": "timeout", "stream": "UPstream"}')).stream == "upstream"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"type": "latency", "stream": "sideways"}', "stream was invalid, can be either upstream or downstream"),
        (b'{"type": "latency", "stream": ""}', "stream was invalid, can be either upstream or downstream"),
        (b'{"type": "gremlin"}', "invalid toxic type: it is one of latency, "),
        (b'{"attributes": {}}', "invalid toxic type: "),
        (b'{"type": "latency", "toxicity": 1.5}', "bad request body: toxicity 1.5"),
        (b'{"type": "latency", "toxicity": "1"}', "bad request body: Expected `float | null`, got `str`"),
        (b'{"type": "latency", "attributes": {"latency": -1}}', "bad request body: latency: latency takes"),
        (b'{"type": "latency", "attributes": {"latency": true}}', "bad request body: latency: latency takes"),
        (b'{"type": "latency", "attributes": {"latency": "1"}}', "bad request body: latency: latency takes"),
        (b'{"type": "latency", "attributes": {"latency": 9223372036854775808}}', "bad request body: latency: "),
        (b'{"type": "latency", "attributes": {"delay": 1}}', "bad request body: latency has no attribute 'delay'"),
        (b'{"type": "slicer"}', "bad request body: slicer: average_size must be above"),
        (b"[]", "bad request body: Expected `object`, got `array`"),
        (b"", "bad request body: "),
        (b'{"type": "\xff"}', "bad request body: "),
    ],
)  # fmt: skip
def test_what_is_no_toxic_is_refused_with_400_and_why(body: bytes, error: str) -> None:
    status, text = refused(body)
    assert status == 400
    assert text.startswith(error)


def test_a_body_without_end_of_brackets_is_a_bad_one() -> None:
    with pytest.raises(Refusal, match="bad request body"):
        read(b'{"toxics":' + b"[" * 100_000, NewProxy)


def test_keys_that_no_form_has_are_passed_over() -> None:
    assert read(b'{"enabled": false, "toxics": [], "Logger": {}}', ProxyChange) == ProxyChange(enabled=False)
