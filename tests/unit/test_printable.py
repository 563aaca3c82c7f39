"""Whatever is printed or logged: nothing in it is an order to a terminal but our own colours."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migctl import telemetry
from migctl.cli import output
from migctl.printable import brief, shown, shown_json, shown_line
from migctl.telemetry import logs

# As the terminal has it, written independently of the code: categories, and what is no text.
FORBIDDEN = {
    *map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
    *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\ufeff",
    *map(chr, (0xD800, 0xDBFF, 0xDC00, 0xDFFF)),
}  # fmt: skip
OURS = re.compile(r"\x1b\[[0-9;]*m")

ORDERS = [
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "\x9b31m",
    "\x1b]8;;http://evil\x1b\\",
    "[red]x[/]",
    "[/]",
    "\r",
    ":warning:",
]

hostile = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(sorted(FORBIDDEN)),
        st.sampled_from(ORDERS),
    ),
    max_size=12,
).map("".join)  # fmt: skip


def assert_harmless(text: str, *, but: str = "\n") -> None:
    assert [char for char in OURS.sub("", text) if char in FORBIDDEN and char not in but] == []


@pytest.mark.parametrize("char", sorted(FORBIDDEN - {"\n"}))
def test_each_is_written_out_and_nothing_else_is_touched(char: str) -> None:
    assert_harmless(shown(f"a{char}b"))
    assert shown(f"a{char}b") != f"a{char}b"
    assert json.loads(shown_json(json.dumps(char, ensure_ascii=False))) == char


@pytest.mark.parametrize("text", ["plain", "größer 日本語 ✓ 👩‍💻", "line\nline", "\\x1b", "א ב"])
def test_text_stays_as_it_is(text: str) -> None:
    assert shown(text) == text
    assert shown_json(json.dumps(text, ensure_ascii=False)) == json.dumps(text, ensure_ascii=False)


def test_a_line_end_can_forge_no_line() -> None:
    assert shown_line("a\nerror: b") == "a\\nerror: b"


@given(text=hostile)
def test_what_was_written_out_stays_and_json_means_the_same(text: str) -> None:
    assert_harmless(shown(text))
    assert shown(shown(text)) == shown(text)
    encoded = shown_json(json.dumps({text: [text]}, ensure_ascii=False, indent=2))
    assert_harmless(encoded)
    assert json.loads(encoded) == {text: [text]}
    encoded.encode()


class Terminal(io.StringIO):
    """Takes what a stream takes: no lone surrogate."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        text.encode()
        return super().write(text)


def printed(text: str) -> str:
    from rich.table import Table
    from rich.text import Text

    out = Terminal()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        output.error(text, text)
        output.note(text)
        output.plain(text)
        output.line({text: text})
        output.document({text: [text]})
        output.table((text, ("b", "right")), [(text, Text(text))], title=text)
        inner = Table(text, title=text, caption=text)
        inner.add_row(text)
        output.show(text, Text(text, style="bold"), inner)
        output.console_err().print(text, soft_wrap=True)
        telemetry.remark(text)
    return out.getvalue()


@given(text=hostile)
@settings(max_examples=60, deadline=None)
def test_nothing_that_is_printed_is_an_order_to_the_terminal(text: str) -> None:
    assert_harmless(printed(text))


@given(text=hostile)
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("pretty", [True, False])
def test_nothing_that_is_logged_is_an_order_to_the_terminal(text: str, pretty: bool) -> None:
    out = Terminal()
    # Of its own: a process has one log, and this one's is not ours to take.
    edge = logs._Edge(logging.INFO, out, logs._pretty(out) if pretty else logs._json())
    edge.put(
        logging.WARNING, "room", "said", {"text": text, "inner": {"list": [text]}, "of": ValueError(text)}
    )
    try:
        raise ValueError(text)
    except ValueError:
        edge.put(logging.ERROR, "room", "ended", {}, sys.exc_info())
    edge.foreign.emit(logging.LogRecord("library", logging.ERROR, "", 0, "%s", (text,), None))
    assert edge.lines.flush(10)
    assert "said" in out.getvalue()
    assert_harmless(out.getvalue())


def test_what_is_foreign_is_no_markup() -> None:
    assert "[link=http://evil]x[/]" in printed("[link=http://evil]x[/]")
    assert "\x1b]8" not in printed("[link=http://evil]x[/link]")


def test_any_value_can_be_quoted_in_a_message_and_shortly() -> None:
    deep: object = []
    for _ in range(5000):
        deep = [deep]
    assert brief("a\n") == "'a\\n'"
    assert brief(10**5000) == "int that can't be shown"
    assert brief(deep) == "list that can't be shown"
    assert len(brief("x" * 10_000, 80)) == 80
    assert brief("secret", first=lambda text: text.replace("secret", "***")) == "'***'"
