"""Each page in a browser, at both sizes and in both languages: it shows what is there, asks nobody
else, and axe finds nothing."""

import time
from typing import Any

import pytest

from edge.gateway.dayhistory import SLOT_NS
from edge.web.pages import PAGES
from tests.kit.browser import SIZES, open_tab
from tests.kit.webpage import WebPage
from tests.web.browser.conftest import Box, log_in


def violations(tab: Any) -> list[str]:
    """What axe finds, as sentences."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {[node['html'][:120] for node in each['nodes']][:3]}"
        for each in found
    ]


TARGETS = """() => [...document.querySelectorAll('button, select, textarea, summary, nav a, input')]
  .map((each) => each.type === 'checkbox' ? each.closest('label') : each)
  .filter((each) => each.offsetParent !== null)
  .map((each) => [each.textContent || each.tagName, each.getBoundingClientRect()])
  .filter(([, box]) => box.width < 44 || box.height < 43.5)
  .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""


def too_small(tab: Any) -> list[str]:
    """What a wet finger does not meet: under 44 pixels in either direction."""
    found: list[str] = tab.evaluate(TARGETS)
    return found


def is_in_view(tab: Any, selector: str) -> bool:
    """Whether all of it can be seen without scrolling, and nothing lies over it."""
    tab.wait_for_timeout(300)
    found: bool = tab.locator(selector).first.evaluate(
        "(each) => { const box = each.getBoundingClientRect();"
        " const top = document.elementFromPoint(box.x + box.width / 2, box.bottom - 2);"
        " return box.top >= 0 && box.bottom <= innerHeight && each.contains(top); }"
    )
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", SIZES)
def test_each_page_has_no_violation_and_asks_nobody_else(
    chromium: Any, box: Box, size: str, language: str
) -> None:
    tab = open_tab(chromium, size, language)
    asked, wrong = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    tab.goto(f"{box.page.url}/")
    tab.wait_for_selector("#secret")
    assert violations(tab) == []
    log_in(tab, box.page)
    for name in PAGES:
        tab.goto(f"{box.page.url}/#/{name}")
        tab.wait_for_selector(f".page.{name}")
        tab.wait_for_timeout(1000)
        for part in tab.query_selector_all("details.day > summary"):
            part.click()
        tab.wait_for_timeout(700)
        assert violations(tab) == [], f"{name}, {size}, {language}"
        wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is wider than the screen by {wide}"
        assert too_small(tab) == [], f"{name}, {size}, {language}"
        lang = tab.evaluate("document.documentElement.lang")
        assert lang.startswith(language)
    assert wrong == []
    assert {url.partition("/api")[0].partition("/static")[0] for url in asked} >= {box.page.url}
    assert all(url.startswith(f"{box.page.url}/") for url in asked), asked
    tab.context.close()


def test_dark_and_more_contrast_have_no_violation(chromium: Any, box: Box) -> None:
    tab = open_tab(chromium, color_scheme="dark")
    log_in(tab, box.page)
    for name in ("overview", "lanes", "devices", "queue"):
        tab.goto(f"{box.page.url}/#/{name}")
        tab.wait_for_selector(f".page.{name}")
        tab.wait_for_timeout(1000)
        assert violations(tab) == [], name
    tab.context.close()


def test_a_lane_moves_within_a_second_of_a_vehicle(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "lanes")
    box.street.chip.wait_requested(["lead", "trail"], 60)
    lead = tab.locator(".loop").first
    for _ in range(4):
        lead.locator(".level", has_text="free").wait_for()
        began = time.monotonic()
        box.street.chip.drive("lead", True, time.monotonic_ns())
        lead.locator(".level", has_text="OCCUPIED").wait_for()
        took_s = time.monotonic() - began
        box.street.chip.drive("lead", False, time.monotonic_ns())
        assert took_s < 1.0
        time.sleep(0.37)


def test_a_vehicle_that_passed_is_shown_with_speed_and_length(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "lanes")
    box.street.drive(every_s=1.5)
    try:
        tab.locator(".vehicles li", has_text="50 km/h").first.wait_for()
        assert "4.5 m" in tab.locator(".vehicles li", has_text="50 km/h").first.inner_text()
    finally:
        box.street.end()


def test_a_name_in_any_script_is_text_and_isolated(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "lanes")
    name = tab.locator("bdi", has_text="北街 <b>nord</b>").first
    name.wait_for()
    assert tab.locator("main b").count() == 0


def test_values_have_plots_of_the_last_day_with_their_figures_in_words(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "values")
    tab.locator(".reading", has_text="23.5").first.wait_for()
    until_s = time.monotonic() + SLOT_NS / 1e9 + 30  # a doubt in one window is a doubt in its slot
    while "last 23.5" not in (said := _temperature(tab)):
        assert time.monotonic() < until_s, said
        time.sleep(3)  # until a window has ended
        tab.reload()


def test_a_plot_that_was_closed_is_drawn_again_though_nothing_has_changed(
    tab: Any, box: Box
) -> None:
    log_in(tab, box.page, "values")
    opener = tab.locator("details.day > summary").first
    for _ in range(2):
        opener.click()
        tab.locator(".plots canvas").first.wait_for()
        opener.click()
        tab.locator(".plots canvas").first.wait_for(state="detached")


def _temperature(tab: Any) -> str:
    """What stands beside the plot."""
    tab.locator("details.day > summary").first.click()
    tab.locator(".plots > *").first.wait_for()
    figure = tab.locator(".plot", has_text="Temperature")
    if figure.count() == 0:  # no window has ended
        return ""
    figure.locator("canvas").first.wait_for()
    said: str = figure.inner_text()
    return said


def test_frames_are_asked_for_no_longer_than_somebody_looks(tab: Any, box: Box) -> None:
    """Also when the page is left while an answer is under way."""
    log_in(tab, box.page, "devices")
    held: list[Any] = []
    tab.route("**/api/ask/frames*", lambda route: held.append(route))
    tab.locator("details > summary").first.click()
    wait_in(tab, lambda: len(held) == 1)
    tab.goto(f"{box.page.url}/#/queue")
    tab.wait_for_selector(".page.queue")
    held[0].continue_()
    tab.wait_for_timeout(2500)
    assert len(held) == 1


def test_locked_settings_are_said_to_whoever_is_logged_in(tab: Any, box: Box) -> None:
    def locked(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "settings": False})

    tab.route("**/api/session", locked)
    log_in(tab, box.page, "commissioning")
    tab.get_by_text("Settings are locked").wait_for()
    assert tab.get_by_text("Log in to do the steps").count() == 0


def wait_in(tab: Any, holds: Any) -> None:
    """While the browser's events are handled."""
    for _ in range(100):
        if holds():
            return
        tab.wait_for_timeout(50)
    raise AssertionError("it has not come within 5 s")


def test_frames_of_a_bus_are_shown_while_somebody_looks(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "devices")
    tab.get_by_text("Frames on the wire").first.click()
    tab.locator(".frames tr.out").first.wait_for()
    assert "0x69" in tab.locator(".frames").first.inner_text()


def test_the_doctor_runs_and_says_what_it_found(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "doctor")
    tab.get_by_role("button", name="Start").click()
    tab.locator(".verdict").wait_for(timeout=120_000)
    assert tab.locator("article.issue").count() > 0


def test_the_language_changes_all_of_the_page(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "queue")
    tab.get_by_role("heading", name="Link to the city").wait_for()
    tab.get_by_role("button", name="中文").click()
    tab.get_by_role("heading", name="与城市平台的连接").wait_for()
    tab.reload()
    tab.get_by_role("heading", name="与城市平台的连接").wait_for()


def test_all_is_reached_by_the_keyboard(chromium: Any, box: Box) -> None:
    tab = open_tab(chromium, "desktop")
    log_in(tab, box.page)
    seen = set()
    for _ in range(30):
        tab.keyboard.press("Tab")
        seen.add(tab.evaluate("document.activeElement.textContent.trim()"))
    assert {"Lanes", "Devices", "Log", "Log out", "中文"} <= seen
    tab.focus("nav a[href='#/lanes']")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".page.lanes")
    assert tab.evaluate("document.activeElement.id") == "main"
    tab.context.close()


def test_the_page_says_when_the_daemon_has_gone_and_goes_on_when_it_is_back(
    tab: Any, box: Box
) -> None:
    log_in(tab, box.page, "lanes")
    tab.locator(".loop").first.wait_for()
    assert box.gateway.stop() == 0
    tab.locator(".state.wrong", has_text="does not run").wait_for()
    box.gateway.start()
    tab.locator(".state.wrong").wait_for(state="detached")
    tab.locator(".loop .level", has_text="free").first.wait_for()


def test_the_page_says_when_its_own_server_has_gone(tab: Any, tmp_path: Any) -> None:
    with WebPage(tmp_path, tmp_path / "run") as page:
        log_in(tab, page)
        page.stop()
        tab.locator(".state.wrong", has_text="No connection").wait_for()
