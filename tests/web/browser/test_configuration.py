"""The page of the configuration, from the text field to the daemon: what lies between is real, and
root's unit is played by its command."""

import subprocess
import time
from typing import Any

from edge.identity.configspool import REQUEST_NAME, config_spool
from tests.kit.gateway import KERBSTONE, ROOT
from tests.kit.waiting import wait_until
from tests.web.browser.conftest import Box, log_in
from tests.web.browser.test_pages import is_in_view, too_small, violations


def as_root_does(box: Box) -> None:
    """kerbstone-config.path and its service, once."""
    wait_until((config_spool() / REQUEST_NAME).exists)
    for words in ((), ("--take",)):
        command = [*KERBSTONE, "config", "spool", "--config", str(box.gateway.config), *words]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)


def edit(tab: Any, before: str, after: str) -> None:
    text = tab.input_value("#config-text")
    assert before in text
    tab.fill("#config-text", text.replace(before, after))


def test_a_file_is_compared_applied_and_counted_down(tab: Any, box: Box) -> None:
    original = box.gateway.config.read_text()
    log_in(tab, box.page, "configuration")
    wait_until(lambda: "[site]" in tab.input_value("#config-text"))
    assert tab.is_disabled("button.main-act:has-text('Apply')"), "nobody has compared it"

    edit(tab, 'driver = "sen55"', 'driver = "sen5"')
    tab.click("button:has-text('Check and compare')")
    tab.wait_for_selector(".findings .error")
    assert "device.hut_air.driver" in tab.inner_text(".findings")
    assert tab.is_disabled("button.main-act:has-text('Apply')")
    tab.click(".findings .line")
    chosen = tab.evaluate(
        "(() => { const t = document.querySelector('#config-text');"
        " return t.value.slice(t.selectionStart, t.selectionEnd); })()"
    )
    assert chosen == 'driver = "sen5"', "the line of the finding"

    edit(tab, 'driver = "sen5"', 'driver = "sen55"\nname = "<img src=x onerror=alert(1)>"')
    tab.click("button:has-text('Check and compare')")
    tab.wait_for_selector("text=Nothing starts anew.")
    assert "<img src=x" in tab.inner_text(".findings"), "a name is a text"
    assert tab.query_selector(".findings img") is None
    assert violations(tab) == []
    tab.click("button.main-act:has-text('Apply')")
    as_root_does(box)
    tab.wait_for_selector("text=is on trial.")
    tab.wait_for_selector(".countdown")
    assert is_in_view(tab, "button:has-text('Confirm: it may stay')"), "what to do next"
    assert too_small(tab) == []
    assert "unless somebody confirms" in tab.inner_text(".countdown")
    assert violations(tab) == []
    assert "onerror" in box.gateway.config.read_text()

    tab.click("button:has-text('Roll back now')")
    tab.wait_for_selector("text=A person rolled it back.")
    assert "load the present one" in tab.inner_text("[aria-labelledby=config-state]")
    as_root = [*KERBSTONE, "config", "spool", "--config", str(box.gateway.config), "--outcome",
               str(box.gateway.folder / "run" / "config-outcome")]  # fmt: skip
    subprocess.run(as_root, cwd=ROOT, check=True, timeout=60)
    assert box.gateway.config.read_text() == original


def test_somebody_else_s_change_is_not_overwritten(tab: Any, box: Box) -> None:
    log_in(tab, box.page, "configuration")
    wait_until(lambda: "[site]" in tab.input_value("#config-text"))
    edit(tab, "[bus.loops]", "# by A\n[bus.loops]")
    tab.click("button:has-text('Check and compare')")
    tab.wait_for_selector("text=Nothing that the gateway does is changed.")
    original = box.gateway.config.read_text()
    box.gateway.config.write_text(f"{original}# by B\n")
    try:
        tab.click("button.main-act:has-text('Apply')")
        as_root_does(box)
        tab.wait_for_selector("text=It was refused. Nothing has changed.")
        assert "somebody has changed it meanwhile" in tab.inner_text("[role=alert]")
        assert box.gateway.config.read_text() == f"{original}# by B\n"
    finally:
        box.gateway.config.write_text(original)
    time.sleep(0.1)


def test_a_daemon_that_watches_no_change_leaves_no_button_that_does_nothing(
    tab: Any, box: Box
) -> None:
    """One that was started by hand; when one comes that watches, its file is shown."""
    by_hand = [True]

    def asked(route: Any) -> None:
        answer = route.fetch()
        found = answer.json()
        state = {"state": "unwatched", "trial": None} if by_hand[0] else {}
        route.fulfill(response=answer, json={**found, **state})

    tab.route("**/api/ask/config", asked)
    log_in(tab, box.page, "configuration")
    tab.get_by_text("started by hand").wait_for()
    assert not tab.locator("#config-text").is_visible()
    by_hand[0] = False
    tab.locator("#config-text").wait_for()
    tab.wait_for_function("() => document.querySelector('#config-text').value.includes('[site]')")
