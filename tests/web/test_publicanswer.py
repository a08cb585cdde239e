"""Who looks without a login is told no name of a person, and no file of a secret: by no question,
and by no event."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from edge.web.livefeed import PARTS
from edge.web.loginsecret import NoSecretError, read_secret_line
from edge.web.pageverbs import READING
from edge.web.publicanswer import public_answer
from tests.cli.answering_daemon import answering
from tests.gateway.commissionparts import CommissionedBox
from tests.kit.webpage import WebPage
from tests.web.conftest import LIVE

PERSON: Final = "Anna Muster"
FILE: Final = "/etc/kerbstone/broker-password"
WHY: Final = f"/etc/kerbstone/site.toml is not used: {FILE}: cannot be read; the last good one runs"
ISSUE: Final = {
    "kind": "configuration_refused", "severity": "fault", "about": "", "name": "",
    "cause": WHY, "remedy": "`kerbstone check`", "for_s": 5, "told": True,
}  # fmt: skip
OTHER: Final = {**ISSUE, "kind": "bus_fails", "cause": "three devices are silent"}
READABLE: Final = '[web]\nwithout_login = "read"\n'


async def answers(folder: Path) -> dict[str, dict[str, Any]]:
    """As a daemon gives them after a commissioning, and while its site file is refused."""
    box = CommissionedBox(folder / "store")
    await box.whole()
    await box.step("begin", by=PERSON)
    await box.step("test", step="device:hut")
    begun = dict(await box.state())
    await box.step("sign", by=PERSON)
    signed = dict(await box.state())
    assert begun["by"] == signed["acceptance"]["by"] == PERSON
    return {
        "commission": {**begun, "acceptance": signed["acceptance"]},
        "status": {
            "gateway": "box-7", "problems": {"configuration": WHY, "hut": "silent"},
            "acceptance": signed["acceptance"], "issues": [ISSUE, OTHER],
        },
        "config": {"state": "rolled_back", "file": FILE, "text": WHY, "trial": None},
        "live": {**LIVE, "issues": [ISSUE, OTHER]},
        **{verb: {"rows": []} for verb in ("outbox", "history", "flags", "frames")},
    }  # fmt: skip


async def test_no_answer_and_no_event_names_anybody_before_the_login(tmp_path: Path) -> None:
    said = await answers(tmp_path)
    with answering(tmp_path / "run", said), WebPage(tmp_path, tmp_path / "run", READABLE) as page:
        stranger, known = page.browser(), page.browser()
        known.log_in()
        for verb in READING:
            answer = stranger.get(f"/api/ask/{verb}")
            assert answer.status == 200
            assert_nothing_private(answer.body.decode())
            assert known.get(f"/api/ask/{verb}").json == json.loads(json.dumps(said[verb]))
        told = stranger.get("/api/ask/commission").json
        assert [row["verdict"] for row in told["steps"]] == [
            row["verdict"] for row in said["commission"]["steps"]
        ]
        assert told["acceptance"]["state"] == "accepted"
        assert stranger.get("/api/ask/status").json["problems"]["hut"] == "silent"
        for browser, public in ((stranger, True), (known, False)):
            with browser.stream(f"/api/events?parts={','.join(PARTS)}") as events:
                text = ""
                while "event: issues" not in text or not text.endswith("\n\n"):
                    text += events.readline().decode()
            assert "three devices are silent" in text
            assert (FILE in text) is not public


async def test_a_stream_whose_session_ended_goes_on_without_what_needs_one(tmp_path: Path) -> None:
    said = await answers(tmp_path)
    with answering(tmp_path / "run", said), WebPage(tmp_path, tmp_path / "run", READABLE) as page:
        browser = page.browser()
        browser.log_in()
        with browser.stream("/api/events?parts=issues") as events:
            assert FILE in next_issues(events)
            browser.post("/api/logout")
            assert_nothing_private(next_issues(events))


def next_issues(events: Any) -> str:
    """The data of the next event of that name."""
    while line := events.readline().decode():
        if line.strip() == "event: issues":
            return str(events.readline().decode())
    raise AssertionError("the stream has ended")


def assert_nothing_private(text: str) -> None:
    for word in (PERSON, "Anna", FILE, "/etc/"):
        assert word not in text


def test_an_answer_of_any_form_stays_as_it_is_but_for_those_words() -> None:
    for odd in ({}, {"steps": None, "issues": None}, {"steps": [1], "issues": [1, {}], "by": 5}):
        found = public_answer("commission", odd)
        assert found == {**odd, **({"by": ""} if "by" in odd else {})}
    steps = {"steps": [{"by": PERSON, "id": "scan"}]}
    assert public_answer("commission", steps) == {"steps": [{"by": "", "id": "scan"}]}
    assert steps["steps"][0]["by"] == PERSON
    assert public_answer("flags", {"by": "model"}) == {"by": "model"}  # no person


@pytest.mark.parametrize("content", ["nonsense", "x" * 5000, None])
def test_why_nobody_can_log_in_names_no_folder(tmp_path: Path, content: str | None) -> None:
    """Everybody who opens the page reads it."""
    file = tmp_path / "login.secret"
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    with pytest.raises(NoSecretError) as said:
        read_secret_line((file,))
    assert str(tmp_path) not in str(said.value)
    assert "login.secret" in str(said.value)
