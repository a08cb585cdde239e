"""Login, its ends and its limits, as a person in a browser meets them."""

from typing import Any

from tests.kit.browser import open_tab
from tests.kit.webpage import WebPage
from tests.web.browser.conftest import Box, log_in


def test_a_wrong_secret_is_said_and_a_right_one_opens(tab: Any, box: Box) -> None:
    tab.goto(f"{box.page.url}/")
    tab.fill("#secret", "nonsense")
    tab.press("#secret", "Enter")
    tab.get_by_text("This is not the secret.").wait_for()
    tab.fill("#secret", box.page.secret)
    tab.press("#secret", "Enter")
    tab.wait_for_selector(".page.overview")
    cookie = tab.context.cookies()[0]
    assert cookie["name"].startswith("__Host-")
    assert cookie["httpOnly"]
    assert cookie["secure"]
    assert cookie["sameSite"] == "Strict"
    assert tab.evaluate("document.cookie") == ""


def test_too_many_tries_have_to_wait(tab: Any, tmp_path: Any) -> None:
    with WebPage(tmp_path, tmp_path / "run") as page:
        tab.goto(f"{page.url}/")
        for _ in range(7):
            tab.fill("#secret", "nonsense")
            tab.press("#secret", "Enter")
            tab.wait_for_selector("button.main-act:not([disabled])")
        tab.get_by_text("Too many attempts").wait_for()


def test_a_logout_in_one_tab_ends_the_other(chromium: Any, box: Box) -> None:
    tab = open_tab(chromium)
    log_in(tab, box.page)
    second = tab.context.new_page()
    second.goto(f"{box.page.url}/#/lanes")
    second.wait_for_selector(".page.lanes")
    second.locator(".loop").first.wait_for()
    tab.get_by_role("button", name="Log out").click()
    tab.wait_for_selector("#secret")
    second.wait_for_selector("#secret", timeout=10_000)
    tab.context.close()


def test_a_second_tab_never_acts_for_a_session_that_has_ended(chromium: Any, box: Box) -> None:
    """After a logout and a new login in the first tab it asks for the secret, says that it is old,
    or has begun anew by itself, whatever came first."""
    tab = open_tab(chromium)
    log_in(tab, box.page)
    second = tab.context.new_page()
    second.goto(f"{box.page.url}/#/doctor")
    second.get_by_role("button", name="Start").wait_for()
    tab.get_by_role("button", name="Log out").click()
    tab.wait_for_selector("#secret")
    tab.fill("#secret", box.page.secret)
    tab.press("#secret", "Enter")
    tab.wait_for_selector(".page.overview")
    press = "document.querySelectorAll('.doctor button').forEach((each) => each.click())"
    ends = ("Looking for", "Ended", "before the last login", "Secret of this box")
    said = ""
    for _ in range(8):  # it may be drawn anew while it is pressed
        second.evaluate(press)
        second.wait_for_timeout(1000)
        said = second.locator("body").inner_text()
        if any(end in said for end in ends):
            break
    assert any(end in said for end in ends), said
    tab.context.close()


def test_another_site_can_neither_change_nor_read_nor_frame(chromium: Any, box: Box) -> None:
    """A page of another origin, in the same browser, with the person logged in."""
    tab = open_tab(chromium)
    log_in(tab, box.page)
    other = tab.context.new_page()
    other.route("https://evil.example/**", lambda route: route.fulfill(
        status=200, content_type="text/html", body="<h1>evil</h1><iframe></iframe>"))  # fmt: skip
    other.goto("https://evil.example/")
    for path, method in (("/api/logout", "POST"), ("/api/ask/status", "GET")):
        found = other.evaluate(
            """async ([url, method]) => {
                try {
                    const answer = await fetch(url, {method, mode: "no-cors",
                        credentials: "include", headers: {"content-type": "text/plain"}});
                    return [answer.type, (await answer.text()).length];
                } catch (error) { return ["refused", 0]; }
            }""",
            [f"{box.page.url}{path}", method],
        )
        assert found[1] == 0, found
    other.evaluate(f"document.querySelector('iframe').src = '{box.page.url}/'")
    other.wait_for_timeout(1500)
    frames = [each for each in other.frames if each != other.main_frame]
    assert all(each.query_selector("#secret, nav") is None for each in frames)
    tab.reload()
    tab.wait_for_selector(".page.overview")  # still logged in
    tab.context.close()


def test_without_a_login_only_what_is_configured_is_shown(tab: Any, tmp_path: Any) -> None:
    with WebPage(tmp_path, tmp_path / "run", '[web]\nwithout_login = "read"\n') as page:
        tab.goto(f"{page.url}/#/doctor")
        tab.get_by_text("Please log in for this.").wait_for()
        assert tab.get_by_role("button", name="Start").is_disabled()
        tab.get_by_role("button", name="Log in").click()
        log_in(tab, page, "doctor")
        assert tab.get_by_role("button", name="Start").is_enabled()
