"""The OpenFeature provider in the process, with a file as the record: types, reasons, errors, folders, events."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from migctl.config import Settings
from migctl.errors import Usage
from migctl.openfeature import MigctlProvider
from migctl.openfeature.following import own_folder

ON_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
FLAGS: dict[str, dict[str, object]] = {
    "bool": ON_OFF,
    "text": {**ON_OFF, "variants": {"on": "a", "off": ""}, "metadata": {"owner": "shop"}},
    "whole": {**ON_OFF, "variants": {"on": 7, "off": 0}},
    "fraction": {**ON_OFF, "variants": {"on": 1, "off": 2.5}},
    "object": {**ON_OFF, "variants": {"on": {"a": [1]}, "off": {}}},
    "off": {**ON_OFF, "state": "DISABLED"},
    "code": {**ON_OFF, "defaultVariant": None},
    "menu": {**ON_OFF, "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}},
    "split": {**ON_OFF, "targeting": {"fractional": [["on", 100], ["off", 0]]}},
}
ANN = EvaluationContext("ann", {"plan": "pro"})


def write(path: Path, flags: dict[str, dict[str, object]]) -> None:
    path.write_text(json.dumps({"flags": flags, "metadata": {"bucketing": "flagd-cbor"}}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    write(path, FLAGS)
    return path


@pytest.fixture
def provider(tmp_path: Path, file: Path) -> Iterator[MigctlProvider]:
    settings = Settings(flags={"file": str(file)})  # type: ignore[arg-type]
    provider = MigctlProvider(folder=tmp_path / "held", settings=settings)
    yield provider
    api.clear_providers()
    provider.shutdown()


def test_each_type_each_reason_and_each_error(provider: MigctlProvider) -> None:
    client = api.get_client()
    early = provider.resolve_boolean_details("bool", True)
    assert (early.value, early.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
    api.set_provider_and_wait(provider)
    assert client.get_boolean_details("bool", False).reason == Reason.STATIC
    text = client.get_string_details("text", "")
    assert (text.value, text.variant, text.flag_metadata["owner"]) == ("a", "on", "shop")
    assert client.get_integer_value("whole", 0) == 7
    assert repr(client.get_float_value("fraction", 0.0)) == "1.0"
    assert client.get_object_value("object", {}) == {"a": [1]}
    for key, reason in (("off", Reason.DISABLED), ("code", Reason.DEFAULT)):
        for default in (True, False):
            found = client.get_boolean_details(key, default, ANN)
            assert (found.value, found.reason, found.variant) == (default, reason, None)
    assert client.get_boolean_details("menu", False, ANN).reason == Reason.TARGETING_MATCH
    assert client.get_boolean_value("split", False, ANN)
    errors = {
        "split": client.get_boolean_details("split", False).error_code,
        "nothing": client.get_boolean_details("nothing", False).error_code,
        "bool": client.get_string_details("bool", "").error_code,
        "whole": client.get_float_details("whole", 0.0).error_code,
    }
    assert errors == {
        "split": ErrorCode.TARGETING_KEY_MISSING,
        "nothing": ErrorCode.FLAG_NOT_FOUND,
        "bool": ErrorCode.TYPE_MISMATCH,
        "whole": ErrorCode.TYPE_MISMATCH,
    }


def test_a_sticky_variant_is_kept_also_by_the_next_process_with_the_folder(
    provider: MigctlProvider, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs" / "flags").mkdir(parents=True)
    experiments = tmp_path / "configs" / "flags" / "experiments.yaml"
    experiments.write_text("experiments: {split: {sticky: true}}\n")
    monkeypatch.chdir(tmp_path)
    users = [EvaluationContext(f"user-{number}") for number in range(50)]

    def begun(on: int) -> list[bool]:
        split = {"fractional": [["on", on], ["off", 100 - on]]}
        write(file, {**FLAGS, "split": {**ON_OFF, "targeting": split}})
        provider.initialize(EvaluationContext())
        found = [provider.resolve_boolean_details("split", False, user).value for user in users]
        provider.shutdown()
        return found

    first = begun(50)
    assert set(first) == {True, False}
    assert begun(90) == first
    assert set(begun(100)) == {True}
    experiments.write_text("experiments: {split: {}}\n")
    assert begun(90) != first


def test_change_is_told_with_its_keys_and_an_outage_and_its_end_once(
    provider: MigctlProvider, file: Path
) -> None:
    told: dict[ProviderEvent, list[EventDetails]] = {event: [] for event in ProviderEvent}
    news = threading.Condition()

    def hear(event: ProviderEvent) -> None:
        def handler(details: EventDetails) -> None:
            with news:
                told[event].append(details)
                news.notify_all()

        client.add_handler(event, handler)

    def wait(event: ProviderEvent, count: int) -> None:
        with news:
            assert news.wait_for(lambda: len(told[event]) >= count, 20), told

    client = api.get_client()
    api.set_provider_and_wait(provider)
    for event in ProviderEvent:
        hear(event)
    wait(ProviderEvent.PROVIDER_READY, 1)
    write(file, {**FLAGS, "bool": {**ON_OFF, "defaultVariant": "off"}, "new": ON_OFF})
    wait(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, 1)
    assert told[ProviderEvent.PROVIDER_CONFIGURATION_CHANGED][0].flags_changed == ["bool", "new"]
    assert client.get_boolean_value("bool", True) is False
    text = file.read_text()
    file.unlink()
    wait(ProviderEvent.PROVIDER_STALE, 1)
    assert client.get_boolean_value("bool", True) is False
    file.write_text(text)
    wait(ProviderEvent.PROVIDER_READY, 2)
    assert len(told[ProviderEvent.PROVIDER_STALE]) == 1


def test_each_process_has_a_folder_of_its_own_and_gets_it_again(tmp_path: Path) -> None:
    with own_folder(tmp_path) as first:
        with own_folder(tmp_path) as second:
            assert (first.name, second.name) == ("0", "1")
        with own_folder(tmp_path) as again:
            assert again == second


def test_folder_that_cannot_be_made_is_told_by_initialize(tmp_path: Path, file: Path) -> None:
    settings = Settings(flags={"file": str(file)})  # type: ignore[arg-type]
    provider = MigctlProvider(folder=file / "below", settings=settings)
    with pytest.raises(Usage, match="it writable"):
        provider.initialize(EvaluationContext())
