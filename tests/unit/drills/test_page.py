"""The page of a drill: one file without script, which asks nobody for anything; no name is markup; a phone can show it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from migctl.drills.page import page_of
from migctl.drills.result import Result
from tests.kit import needs
from tests.kit.drilled import NOTHING, whole
from tests.unit.rollout.signoff.test_page import EVIL, Reading


def many(name: str) -> Result:
    """With a lane for each fault's name."""
    of = whole(name)
    return msgspec.structs.replace(of, faults=of.faults * 9)


LONG = "a-name-that-nobody-can-break-" * 6


@pytest.mark.parametrize("of", [NOTHING, whole(), whole(EVIL)])
def test_it_is_well_formed_and_asks_nobody_for_anything(of: Result) -> None:
    text = page_of(of)
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


def test_what_a_file_names_is_text() -> None:
    text = page_of(whole(EVIL))
    assert "<script" not in text
    assert "<img" not in text
    assert Reading(text).text.count(EVIL) > 10


def test_objectives_have_their_units_and_why_there_is_no_figure() -> None:
    page = re.sub(r"\s+", " ", Reading(page_of(whole("nobody came back"))).text)
    assert "time to detectat most 2,000 ms80 mspass" in page
    assert "availabilityat least 99.9 %99.5 %fail" in page
    assert "time to recoverat most 5,000 msnobody came backfail" in page


def test_a_run_that_did_not_come_so_far_has_dashes_and_no_zeros() -> None:
    read = Reading(page_of(NOTHING))
    assert "Nothing was measured over time." in read.text
    assert "- of -" in read.text
    assert [tag for tag, _ in read.tags if tag == "svg"] == []


def test_what_was_missed_with_grace_and_without_is_beside_each_fault_and_before_any() -> None:
    text = re.sub(r"\s+", " ", Reading(page_of(whole("outage"))).text)
    assert "outage: 5-14outage: 5-16" in text
    assert "Missed before any fault, without grace: outage: 2" in text
    assert "outage99.5 %95.45 %" in text
    assert "4,413 99.3 % live" in text
    assert "12 requests took several tries" in text
    assert "--seed 11 draws the same ones again" in text


def test_of_many_lost_events_the_page_has_the_first_and_says_how_many_more() -> None:
    assert "and 10 more" in Reading(page_of(whole())).text


def test_the_plot_has_a_text_for_who_does_not_see_it() -> None:
    [svg] = [attributes for tag, attributes in Reading(page_of(whole())).tags if tag == "svg"]
    assert svg["role"] == "img"
    assert "Over Realtime: 0 to 200." in str(svg["aria-label"])


# Each line of a script that chromium runs in a copy of the page, so that a failure names what sticks out.
MEASURE = """<script>
const wide = document.documentElement.clientWidth;
const out = [...document.querySelectorAll("main *")].filter(one => one.getBoundingClientRect().right > wide + 1);
document.title = document.documentElement.scrollWidth > wide || out.length
  ? "overflows: " + out.slice(0, 3).map(one => one.outerHTML.slice(0, 80)).join(" | ") : "fits in " + wide;
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "of", [whole(), whole(LONG), many(LONG), NOTHING], ids=["as usual", "long names", "many", "nothing"]
)
def test_nothing_is_wider_than_the_window(tmp_path: Path, of: Result, width: int) -> None:
    fits(tmp_path, page_of(of), width)


def fits(tmp_path: Path, text: str, width: int) -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert policy in text
    inside = tmp_path / "inside.html"
    inside.write_text(text.replace(policy, "").replace("</body>", f"{MEASURE}</body>"))
    outside = tmp_path / "outside.html"
    # A window of chromium is never narrower than 500: a frame is.
    outside.write_text(
        f'<iframe src="inside.html" width="{width}" height="900" style="border:0"></iframe><script>onload = () => '
        "{ document.body.innerText = document.querySelector('iframe').contentDocument.title }</script>"
    )
    browser = str(needs.chromium())
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}",
         f"--window-size={width + 200},1000", "--dump-dom", outside.as_uri()],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    assert "fits in" in done.stdout, done.stdout[-600:]


def test_the_page_of_a_drill_that_only_listened_does_not_say_that_something_was_left_undone() -> None:
    text = page_of(
        msgspec.structs.replace(NOTHING, read_only=True, rate_per_s=None, verdict="pass", reason="")
    )
    assert "its probes are in the timeline" in text
    assert "it only listened" in text
    assert "did not come so far" not in text
    assert "It was not judged" not in text
