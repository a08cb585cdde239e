"""Commissioning on a phone: begin, drive over a lane, fill in, sign, save the sheet; axe finds
nothing at any of its states."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.kit.browser import open_tab
from tests.web.browser.conftest import Box, log_in
from tests.web.browser.test_pages import is_in_view, too_small, violations

SHOTS = os.environ.get("SHOTS")  # a folder for pictures


def picture(tab: Any, name: str) -> None:
    if SHOTS:
        tab.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_a_technician_commissions_a_lane_on_a_phone(
    chromium: Any, box: Box, tmp_path: Path
) -> None:
    tab = open_tab(chromium, "phone", "en", accept_downloads=True)
    log_in(tab, box.page, "commissioning")
    tab.wait_for_selector("text=Not commissioned")
    tab.fill("form >> nth=0 >> input[name=by]", "Anna <b>Muster</b>")
    tab.click("text=Begin, or go on")
    tab.wait_for_selector("text=Commissioning, by Anna")
    assert tab.query_selector("main b") is None, "a name is only text"
    lane = tab.locator("details.step", has_text="Lane north_1").first
    onward = tab.locator(".onward button")
    for name in ("Search of the wires", "Device hut_air", "Lane north_1"):
        assert onward.inner_text() == f"Next: {name}"
        onward.click()
    assert lane.get_by_role("button", name="Begin the drive").is_visible(), "it is open"
    assert tab.locator(".do code", has_text="kerbstone commission drive").count() == 0
    lane.locator("input[type=number]").first.fill("36")
    lane.get_by_role("button", name="Begin the drive").click()
    tab.wait_for_selector("text=in the direction of traffic")
    assert not lane.get_by_role("button", name="Begin the drive").is_visible(), "it runs"
    assert too_small(tab) == []
    picture(tab, "commissioning-drive")
    box.street.vehicle(speed_kmh=36.0)
    lane.locator("ul.plain li").first.wait_for()
    assert violations(tab) == []
    lane.get_by_role("button", name="I have passed").click()
    tab.wait_for_function(
        "() => [...document.querySelectorAll('.finding')].some("
        "(one) => one.textContent.includes('saw the drive'))"
    )
    device = tab.locator("details.step", has_text="Device hut_air")
    device.get_by_role("button", name="Test").click()
    device.get_by_text("answers:").wait_for()
    loop = tab.locator("details.step", has_text="Loop, measured").first
    loop.locator("summary").first.click()
    loop.get_by_label("Inductance").fill("20")
    loop.get_by_label("Inductance").blur()
    loop.get_by_text("it must be 50–750 µH").wait_for()
    picture(tab, "commissioning-steps")
    other = open_tab(chromium, "phone", "en")
    log_in(other, box.page, "commissioning")
    theirs = other.locator("details.step", has_text="Loop, measured").first
    theirs.get_by_label("Inductance").wait_for()  # open: it has failed
    assert theirs.get_by_label("Inductance").input_value() == "20"
    theirs.get_by_label("Inductance").fill("122")
    theirs.get_by_label("Inductance").blur()
    other.context.close()
    loop.locator("summary").first.focus()
    tab.wait_for_function(
        "() => [...document.querySelectorAll('details.step input')].some((i) => i.value === '122')"
    )  # what somebody else has filled in
    tab.get_by_role("button", name="Sign the acceptance").click()
    tab.wait_for_selector("text=these steps have not passed")
    assert is_in_view(tab, "form:has-text('Sign the acceptance') [role=alert]")
    assert too_small(tab) == []
    tab.get_by_label("Sign although").check()
    assert violations(tab) == []
    tab.get_by_role("button", name="Sign the acceptance").click()
    tab.wait_for_selector("text=Accepted with reservations")
    assert is_in_view(tab, ".sheets button")
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="For the city (JSON)").click()
    saved.value.save_as(tmp_path / "sheet.json")
    file = json.loads((tmp_path / "sheet.json").read_text())
    assert file["sheet"]["by"] == "Anna <b>Muster</b>"
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="For people (HTML)").click()
    saved.value.save_as(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert "<b>Muster" not in page
    assert file["sha256"] in page
    tab.context.close()


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_in_chinese_everything_is_said_in_chinese(chromium: Any, box: Box, size: str) -> None:
    tab = open_tab(chromium, size, "zh")
    log_in(tab, box.page, "commissioning")
    tab.wait_for_selector("details.step")
    text = tab.inner_text("main")
    for word in ("passed", "unproven", "Drive", "Begin", "Nobody"):
        assert word not in text
    assert violations(tab) == []
    picture(tab, f"commissioning-zh-{size}")
    tab.context.close()


def test_who_is_not_logged_in_may_change_nothing(box: Box) -> None:
    """The verb that changes is not asked by GET, and not without a login."""
    browser = box.page.browser()
    for path in ("/api/ask/commission_step?act=begin&by=x", "/api/change/commission_step"):
        assert browser.get(path).status in (401, 403, 404, 405), path
    assert browser.post("/api/change/commission_step", {"act": "cancel"}).status in (401, 403)
