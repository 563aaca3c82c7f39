from __future__ import annotations

from pathlib import Path

import pytest

from migctl.checking.checking import check
from migctl.config.assets import folder
from migctl.config.problems import Faulty
from migctl.experiments.document import Experiment, read_experiments


def test_the_file_that_ships_says_every_default() -> None:
    shipped = read_experiments(folder("configs") / "flags" / "experiments.yaml")
    assert shipped.experiments == {"transport": Experiment()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiments:\n  transport: {min_block: 9}\n", ":2: experiments.transport.min_block: no such key"),
        ("experiments:\n  transport:\n    min_users: many\n", ":3: experiments.transport.min_users: "),
        ("experiments:\n  transport:\n    starts: soon\n", ":3: experiments.transport.starts: "),
        (
            "experiments:\n  transport: {starts: 2026-03-02, ends: 2026-03-01}\n",
            ":2: experiments.transport: ",
        ),
        ("experiments:\n  a flag: {}\n", ":2: experiments.a flag"),
        ("exposures:\n  retain_days: 30 days\n", ":2: exposures.retain_days: "),
        ("exposures:\n  max_per_day: true\n", ":2: exposures.max_per_day: "),
        ("exposure: {}\nexperiments: {}\n", ":1: exposure: no such key"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "configs" / "flags" / "experiments.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(Faulty) as caught:
        read_experiments(path)
    assert f"{path}{message}" in str(caught.value)
    found = check(folder=tmp_path, environ={})
    assert [str(one) for one in found.problems] == [str(one) for one in caught.value.problems]


def test_an_entry_with_nothing_below_it_is_an_experiment_with_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "experiments.yaml"
    path.write_text("experiments:\n  transport:\nexposures:\n")
    assert read_experiments(path).experiments == {"transport": Experiment()}
    assert check([path], folder=tmp_path, environ={}).files == {path: "experiments"}
