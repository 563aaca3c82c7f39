"""YAML with line numbers: the line of a key is that on which it stands, however deep, and whatever else is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from migctl.config.yamlfile import Document, validate
from migctl.errors import Usage

TEXT = """\
a: 1
b:
  c:
    - x: 1
    - x: wrong
"""


class Item(BaseModel):
    x: int = Field(description="a whole number")


class Inner(BaseModel):
    c: list[Item] = []


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 0
    b: Inner = Inner()


def test_the_line_of_a_key_is_where_it_stands_and_of_a_missing_one_that_of_the_nearest_above() -> None:
    document = Document("f", TEXT)
    assert [
        document.line(path) for path in [("a",), ("b", "c"), ("b", "c", 1, "x"), ("b", "none"), ("none",)]
    ] == [
        1,
        3,
        5,
        2,
        1,
    ]


def test_a_wrong_value_in_a_list_is_raised_with_its_line_and_its_path() -> None:
    document = Document("f.yaml", TEXT)
    with pytest.raises(Usage, match=r"^f\.yaml:5: b\.c\.1\.x: .*, got 'wrong'"):
        validate(Outer, document.data, document)


def test_what_set_a_value_is_named_in_place_of_the_file() -> None:
    document = Document("f.yaml", "a: 1\n")
    with pytest.raises(Usage, match=r"^MIGCTL_A: a: "):
        validate(Outer, {"a": "x"}, document, {("a",): "MIGCTL_A"})


def test_a_key_that_is_close_to_none_lists_those_there_are() -> None:
    with pytest.raises(Usage, match="zzz: no such key") as refused:
        validate(Outer, {"zzz": 1})
    assert refused.value.do == "the keys here are: a, b"


def test_an_empty_file_says_nothing() -> None:
    assert validate(Outer, Document("f", "# nothing yet\n").data) == Outer()


def test_a_file_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a: gr\xfc\xdfe")
    for path, why in ((tmp_path / "latin", "not UTF-8 at byte 5"), (tmp_path, "Is a directory")):
        with pytest.raises(Usage, match=why) as refused:
            Document.read(path)
        assert str(path) in refused.value.what
