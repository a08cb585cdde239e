"""A fault that processing finds says for how long it may have been so."""

from dataclasses import replace

from edge.core import Stream
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, SINGLE, engine, events, found, presences


def test_each_fault_that_goes_on_says_since_when() -> None:
    made = engine(replace(SINGLE, max_presence_s=120.0, no_activity_s=600.0))
    drafts = made.contacts(found("east_1.lead"))
    reported = [(10.0 + i / 2, 10.2 + i / 2) for i in range(50)]  # more than can pass
    made.contacts(presences("east_1.lead", *reported, (100.0, 290.0)))
    for minute in range(1, 20):
        drafts += made.close(minute * MINUTE)
    on = {
        as_read(each)["fault"]: as_read(each).get("since_s")
        for each in events(drafts)
        if as_read(each)["state"] == "on"
    }
    assert on == {"chatter": 30.0, "stuck_on": 120.0, "no_activity": 600.0}
    over = [
        each for each in drafts if each.stream is Stream.EVENT and as_read(each)["state"] == "off"
    ]
    assert over
    assert all("since_s" not in as_read(each) for each in over)
