"""YAML with line numbers: the line of a key is that on which it stands, however deep, and whatever else is wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from migctl.config.problems import Faulty, Problem
from migctl.config.settings import Settings
from migctl.config.validating import validate
from migctl.config.yamlfile import Document, value_of
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


@pytest.mark.parametrize(
    ("content", "line", "words", "do"),
    [
        (b"a: 1\nb:\n\tc: 2\n", 3, "not YAML", "indent with blanks"),
        (b"a: 1\nb: [1,\n  2\nc: 3\n", 4, "(begun in line 2)", "mend the line"),
        (b"- 1\n", 1, "expected keys and values, got a list", "write `key: value` lines"),
        (b"a: &x [*x]\n", 1, "has no end", "write out"),
        (b"a: " + b"[" * 5000, 1, "nested too deeply", "flatter"),
        (b"a: 2026-13-45\n", 1, "not YAML: month must be", "mend the line"),
        (b"a: 1\nb: \x00\n", 2, "not YAML: special characters", "mend the line"),
        (b"\xff\xfea\x00:\x00", 1, "not UTF-8 at byte 0", "save the file as UTF-8"),
        (b"a: 1\n---\nb: 2\n", 2, "expected a single document", "mend the line"),
        (b"a: !!python/name:os.system\n", 1, "could not determine a constructor", "mend the line"),
    ],
)
def test_what_is_no_yaml_of_ours_is_told_with_its_line(
    tmp_path: Path, content: bytes, line: int, words: str, do: str
) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(Faulty) as refused:
        Document.read(path)
    (problem,) = refused.value.problems
    assert (problem.source, problem.line) == (str(path), line)
    assert words in problem.what
    assert do in problem.do


def test_aliases_that_grow_without_bound_are_refused_and_those_that_do_not_are_read() -> None:
    bomb = "a: &a [" + "x," * 9 + "x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
    )  # fmt: skip
    with pytest.raises(Faulty, match="has no end"):
        Document("f", bomb)
    read = Document("f", "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")
    assert read.data["b"] == {"x": 1, "y": 3}
    assert [read.line(("b", key)) for key in ("x", "y")] == [1, 4]


@pytest.mark.parametrize("text", ["\ufeffa: 1\nb: {c: []}\n", "a: 1\r\nb: {c: []}\r\n"])
def test_a_byte_order_mark_and_line_ends_of_windows_are_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_text(text, encoding="utf-8", newline="")
    document = Document.read(tmp_path / "f")
    assert (validate(Outer, document.data, document).a, document.line(("b",))) == (1, 2)


def test_a_key_that_is_there_twice_or_is_read_as_no_text_is_a_problem_beside_all_others() -> None:
    document = Document("f.yaml", "a: x\na: y\nb: {c: 3}\non: 1\nzz: 4\n")
    with pytest.raises(Faulty) as refused:
        validate(Outer, document.data, document)
    assert [(one.line, one.key) for one in refused.value.problems] == [
        (2, "a"), (3, "b.c"), (4, "on"), (5, "zz"),
    ]  # fmt: skip
    assert "`migctl config check` lists 3 more" in refused.value.do


def test_a_file_without_end_and_a_link_to_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(Faulty, match="is a link to nowhere, which is not there"):
        Document.read(tmp_path / "link")
    with pytest.raises(Faulty, match="is larger than 1 MiB"):
        Document.read(Path("/dev/zero"), most_bytes=1 << 20)


def test_nothing_of_what_may_hold_a_secret_is_quoted() -> None:
    document = Document(
        "f", "alerts: {webhook: ftp://hooks/hunter2hunter2}\nrealtime: {token_command: [s3cret]}\n"
    )
    with pytest.raises(Faulty) as refused:
        validate(Settings, document.data, document)
    assert len(refused.value.problems) == 2
    assert not any(word in f"{refused.value}{refused.value.problems}" for word in ("hunter2", "s3cret"))


@pytest.mark.parametrize(
    "value",
    [
        "!!int ''",
        "!!float ''",
        "!!bool x",
        "!!timestamp x",
        "!!int _",
        "!!int 0x",
        "2026-13-45",
        "9" * 5000,
        "9" * 400,
        str(1 << 63),
        r'"\ud800"',
        "!!binary é",
    ],
    ids=lambda value: value[:20],
)
def test_value_that_is_none_of_its_kind_is_told_with_its_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(f"a: 1\nb:\n  c: {value}\n")
    with pytest.raises(Faulty) as refused:
        Document.read(path)
    assert [one.line for one in refused.value.problems] == [3]
    with pytest.raises(ValueError, match=r"."):
        value_of(value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000,
        "&a [*a]",
        "[&x [1], *x, *x]",
        "{a: &b {c: 1}, <<: *b}",
        "a: b: c",
        "\0",
        "!!python/name:os.system",
    ],
)
def test_text_that_stands_for_no_value_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        value_of(text)


def test_text_is_read_as_a_value_in_a_file_is() -> None:
    assert [value_of(text) for text in ("5", "'5'", "[a, 1.5]", "", "{a: 2026-01-31}")] == [
        5, "5", ["a", 1.5], None, {"a": date(2026, 1, 31)},
    ]  # fmt: skip


def test_problem_quotes_no_more_than_anybody_reads() -> None:
    assert len(str(Problem("f", 1, "k", "x" * 100_000, "do"))) < 1100
