"""Cutting SQL into statements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.schema import files
from migctl.schema.statements import split


@pytest.mark.parametrize(
    "text",
    [
        "select 'a;b'",
        "select 'it''s; so'",
        r"select E'a\';b'",
        'select ";" from "a;b"',
        "do $$ begin perform 1; end $$",
        "do $body$ begin perform $$;$$; end $body$",
        "select 1 /* ; /* ; */ ; */ + 1",
        "select 1 -- ;\n + 1",
        "select a$b$ from t",
    ],
)
def test_a_semicolon_inside_something_does_not_end_the_statement(text: str) -> None:
    assert [s.text for s in split(f"{text};\nselect 2;")] == [text, "select 2"]


def test_numbers_and_lines_point_at_the_first_word_after_comments() -> None:
    found = split("-- one\n\nselect 1;\n/* two\n*/ select 2;;\n  -- three\nselect 3")
    assert [(s.number, s.line, s.text) for s in found] == [
        (1, 3, "select 1"),
        (2, 5, "select 2"),
        (3, 7, "select 3"),
    ]


def test_a_file_of_comments_has_no_statements() -> None:
    assert split("-- nothing; at all\n/* here; */\n ;; \n") == []


def test_what_is_never_closed_runs_to_the_end() -> None:
    assert [s.text for s in split("select 1; select $x$ a; b")] == ["select 1", "select $x$ a; b"]


_PIECES = st.sampled_from(
    ["select 1", "'a;b'", '"c;d"', "$$e;f$$", "$t$g;$$h$t$", "/* i; */", "-- j;\n", "\n", " ", "E'k\\';'"]
)


@given(st.lists(st.lists(_PIECES, min_size=1), min_size=1))
def test_splitting_and_joining_keeps_every_statement(parts: list[list[str]]) -> None:
    statements = [" ".join(part) for part in parts]
    found = split(" ;\n".join(statements))
    kept = [s for s in statements if split(s)]
    assert [s.text for s in found] == [split(s)[0].text for s in kept]


def test_the_function_of_heads_is_one_statement() -> None:
    heads = files.render(files.load()[2].up, "public")
    functions = [s for s in split(heads) if s.text.startswith("create function")]
    assert len(functions) == 1
    assert functions[0].text.endswith("$move_head$")
