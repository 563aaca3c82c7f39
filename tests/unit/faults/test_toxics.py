"""Toxics as data: what is one, what it is called, and what is refused rather than armed for nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from migctl.faults import Toxic
from migctl.faults.toxics import ATTRIBUTES, KINDS, Toxics


@pytest.mark.parametrize("kind", KINDS)
def test_a_toxic_is_called_by_its_type_and_stream_and_has_every_attribute_of_its_type(kind: Any) -> None:
    given = {"average_size": 10} if kind == "slicer" else {}
    toxic = Toxic(kind, given)
    assert toxic.name == f"{kind}_downstream"
    assert toxic.toxicity == 1.0
    assert toxic.attributes == dict.fromkeys(ATTRIBUTES[kind], 0) | given


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type": "latency", "attributes": {"latancy": 500}}', "no attribute 'latancy': latency, jitter"),
        ('{"type": "latency", "attributes": {"latency": -1}}', "latency: latency takes a whole number"),
        ('{"type": "bandwidth", "attributes": {"rate": 0.5}}', "Expected `int`, got `float`"),
        ('{"type": "bandwidth", "attributes": {"rate": true}}', "Expected `int`, got `bool`"),
        ('{"type": "timeout", "toxicity": 1.5}', "from 0 to 1"),
        ('{"type": "timeout", "stream": "sideways"}', "Invalid enum value 'sideways'"),
        ('{"type": "explode"}', "Invalid enum value 'explode'"),
        ('{"type": "slicer"}', "average_size must be above size_variation"),
        ('{"type": "slicer", "attributes": {"average_size": 5, "size_variation": 5}}', "must be above"),
    ],
)
def test_what_would_arm_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.json.decode(text, type=Toxic)


def test_a_toxic_made_here_is_checked_as_one_that_was_read() -> None:
    for wrong in (
        lambda: Toxic("explode"),  # type: ignore[arg-type]
        lambda: Toxic("timeout", stream="sideways"),  # type: ignore[arg-type]
        lambda: Toxic("timeout", {"timeout": 0.5}),  # type: ignore[dict-item]
        lambda: Toxic("timeout", {"timeout": True}),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_a_change_leaves_what_it_does_not_name() -> None:
    toxic = Toxic("latency", {"latency": 500, "jitter": 10}, "upstream", 0.5, "slow")
    assert toxic.changed({"jitter": 20}) == Toxic(
        "latency", {"latency": 500, "jitter": 20}, "upstream", 0.5, "slow"
    )
    assert toxic.changed({}, 0.0).toxicity == 0.0
    with pytest.raises(ValueError, match="no attribute 'rate'"):
        toxic.changed({"rate": 1})


def test_toxics_keep_their_order_when_one_is_replaced_or_goes() -> None:
    toxics = Toxics()
    first, second = Toxic("latency", {"latency": 1}), Toxic("bandwidth", {"rate": 1})
    assert toxics.add(first) < toxics.add(second)
    toxics.replace(first.changed({"latency": 2}))
    assert [toxic.name for _, toxic in toxics] == ["latency_downstream", "bandwidth_downstream"]
    toxics.remove(first.name)
    assert toxics.add(first) > toxics.get(second.name)[0]
    with pytest.raises(ValueError, match="already"):
        toxics.add(second)
    with pytest.raises(ValueError, match="no toxic 'other': bandwidth_downstream, latency_downstream"):
        toxics.remove("other")
