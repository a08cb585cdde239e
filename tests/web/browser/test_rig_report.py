"""The report of a run of the rig in a browser: its script runs under its own policy, and the axis
is zoomed by wheel, drag, keys and a sentence."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.rig.htmlreport import html_report
from edge.rig.judging import judge
from tests.kit.browser import open_tab
from tests.rig.madeup import made_run, made_scenario


@pytest.fixture(params=["phone", "desktop"])
def tab(chromium: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Of a run in which two vehicles too many were counted from 540 s to 600 s."""
    scenario = made_scenario()
    log = made_run(scenario)
    log.heard = [
        replace(h, body={**h.body, "volume": 40}) if (h.source, h.to_s) == ("north_1", 600.0) else h
        for h in log.heard
    ]
    file = tmp_path / "run.html"
    file.write_text(html_report(scenario, log, judge(scenario, log)), encoding="utf-8")
    tab = open_tab(chromium, request.param)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text))
    tab.goto(file.as_uri())
    yield tab
    tab.context.close()
    assert errors == []


def shown(tab: Any) -> tuple[float, float]:
    """From when to when, in seconds."""
    text = tab.locator(".shown").inner_text()
    first, last = re.findall(r"([\d.]+) s", text)
    views = {each.get_attribute("viewBox") for each in tab.locator(".row svg").all()}
    assert len({" ".join(str(view).split()[::2]) for view in views}) <= 2  # rows of two heights
    return float(first), float(last)


def test_the_axis_is_zoomed_in_each_way(tab: Any) -> None:
    assert shown(tab) == (0.0, 965.0)
    tab.locator(".plots").focus()
    tab.keyboard.press("+")
    assert shown(tab) == (241.25, 723.75)
    tab.keyboard.press("ArrowRight")
    assert shown(tab) == (386.0, 868.5)
    tab.keyboard.press("0")
    assert shown(tab) == (0.0, 965.0)
    tab.get_by_label("Show less time").click()
    assert shown(tab) == (241.25, 723.75)
    tab.get_by_label("Show all").click()
    axis = tab.locator(".axis")
    axis.scroll_into_view_if_needed()
    place = axis.bounding_box()
    middle = place["y"] + 10
    tab.mouse.move(place["x"] + place["width"] / 2, middle)
    tab.mouse.down()
    tab.mouse.move(place["x"] + place["width"] * 0.75, middle)
    tab.mouse.up()
    first, last = shown(tab)
    assert first == pytest.approx(482.5, abs=3)
    assert last == pytest.approx(723.75, abs=3)


def test_a_failed_sentence_leads_to_its_moment(tab: Any) -> None:
    tab.locator("li.fail a").first.click()
    first, last = shown(tab)
    assert (first + last) / 2 == pytest.approx(600.0, abs=0.5)
    assert last - first < 200
    assert tab.locator(".cursor").is_visible()
    assert "s" in tab.locator(".axis span").first.inner_text()


def test_the_page_is_no_wider_than_its_window(tab: Any) -> None:
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
