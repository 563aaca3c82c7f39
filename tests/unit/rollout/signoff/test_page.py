"""The page: one file, without script, without anything from elsewhere; and no text from outside is ever markup."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from migctl.rollout.signoff.build import build
from migctl.rollout.signoff.page import page_of
from migctl.status import OutageStatus
from tests.kit.walked import BEGIN, Walked
from tests.unit.rollout.signoff.test_build import completing, whole

EVIL = """<script>alert("x")</script><img src=x onerror='y'>" onload="z"""


class Reading(HTMLParser):
    """Tags with their attributes; those that are open at the end; and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def evil() -> Walked:
    """Every text that a person, a producer or a file gives is markup."""
    of = Walked(soak=20)
    of.begin("2a-internal", who=EVIL, why=EVIL)
    of.until("soaking")
    of.pass_(3)
    of.pass_(1, verdict="inconclusive", reason=EVIL)
    of.brake("b1", 0, split=EVIL, who=EVIL, why=EVIL)
    of.move(
        "complete-forced",
        completing(of, "completed", forced=EVIL, accepted_lost=1, reason=EVIL),
        who=EVIL,
        why=EVIL,
    )
    of.now += timedelta(minutes=5)
    return of


@pytest.mark.parametrize("made", [whole, evil, Walked])
def test_it_is_well_formed_and_asks_nobody_for_anything(made: Any) -> None:
    text = page_of(build(made().collected()))
    read = Reading(text)
    assert read.open == []
    names = {tag for tag, _ in read.tags}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "base", "form", "a"})
    for tag, attributes in read.tags:
        assert not {"src", "href", "srcset", "action", "data"} & attributes.keys(), tag
        assert not any(name.startswith("on") for name in attributes), tag
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert style is not None
    assert not re.search(r"url\(|@import|expression", style[1])
    assert "default-src 'none'" in text


def test_what_comes_from_outside_is_text() -> None:
    of = evil()
    outage = OutageStatus(source=EVIL, began=BEGIN, ended=BEGIN + timedelta(minutes=1), reason=EVIL)
    report = build(of.collected(target=EVIL, outages=[outage], titles={"2a-internal": EVIL}, missing=[EVIL]))
    text = page_of(report)
    assert "<script" not in text
    assert "<img" not in text
    read = Reading(text)
    assert read.text.count(EVIL) > 15
    marks = [attributes["title"] for tag, attributes in read.tags if attributes.get("class") == "mark"]
    assert marks
    assert EVIL in str(marks[0])


def test_all_that_the_report_says_stands_on_the_page() -> None:
    report = build(whole().collected(drilled=[], outages=[]))
    read = Reading(page_of(report))
    page = re.sub(r"\s+", " ", read.text)
    for text in (
        *(one.text for one in report.lessons), *(one.what for one in report.timeline), *report.missing,
        *(gate.sha256 or "" for one in report.stages for gate in (one.judgement.gates if one.judgement else ())),
        *(one.sha256 or "" for one in report.inputs), *(text.replace("`", "") for text in report.to_delete),
    ):  # fmt: skip
        assert text in page, text
    assert len([tag for tag, _ in read.tags if tag == "svg"]) == 3


def test_what_is_not_known_is_a_dash_and_no_zero() -> None:
    of = whole()
    report = build(of.collected(minutes=[]))
    read = Reading(page_of(report))
    assert "The record has no window of evidence." in read.text
    assert read.text.count("Nothing is known of it.") == 2
    assert "0 events compared" not in read.text
    without = msgspec.structs.replace(build(of.collected()), completion=None, completed=False)
    assert "not completed: 2b-100, done" in Reading(page_of(without)).text
