"""A contact that a simulation lets chatter is an open issue: a door, a bay, a pulse output."""

from functools import partial
from pathlib import Path

import pytest

import drivers
from drivers.sim.timeline import Timeline
from edge.cabinet.playedlines import StreetWish, play_lines
from edge.config import GpioBus, load_site
from edge.core import Contact, Draft
from edge.gateway.issuefindings import event_finding
from edge.process.baywindow import BaySetup
from edge.process.engine import Engine, EngineSetup
from edge.process.enginesetup import ContactSetup, PulseSetup
from tests.kit.engine import MINUTE, S, events, found

SITE = """
[site]
id = "s"
gateway = "g"
[uplink]
url = "mqtt://h"
[bus.contacts]
kind = "gpio"
chip = "sim:/tmp/not-served.sock"
[device.charger]
driver = "s0"
bus = "contacts"
line = "GPIO5"
imp_per_kwh = 1000
[device.hatch]
driver = "contact"
bus = "contacts"
line = "GPIO6"
[bay.bay_1]
kind = "loading"
bus = "contacts"
line = "GPIO7"
"""
SETUP = EngineSetup(
    bays=(BaySetup("bay_1"),),
    pulses=(PulseSetup("charger", 1000),),
    contacts=(ContactSetup("hatch", "door"),),
)


@pytest.mark.parametrize("name", ["charger", "hatch", "bay_1"])
def test_a_contact_that_chatters_opens_an_issue_within_two_minutes_and_it_ends(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    site = load_site(tmp_path / "site.toml", drivers.catalogue())
    bus, line, heard = site.buses["contacts"], Timeline(lambda: 0), list[Contact]()
    assert isinstance(bus, GpioBus)
    played = play_lines(site, "contacts", bus, line, StreetWish())

    def hear(source: str, active_high: bool, level: bool, t_ns: int) -> None:
        if t_ns:
            heard.append(Contact(source, level is active_high, t_ns))

    for source, contact in played.contacts.items():
        contact.drive = partial(hear, source, contact.active_high)
        contact.begin(0)
    for play in played.plays:
        play.begin(0)
    engine = Engine(SETUP)
    engine.start(0)
    for source in played.contacts:
        engine.contacts(found(source))
    up: dict[int, set[str]] = {}
    now: set[str] = set()
    for minute in range(1, 9):
        line.run_until(minute * MINUTE)
        if minute in (2, 5):
            played.contacts[name].misbehave("chatter" if minute == 2 else "", minute * MINUTE + S)
        drafts: list[Draft] = []
        for contact_ in heard:
            drafts += engine.contacts([contact_])
        heard.clear()
        drafts += events(engine.close(minute * MINUTE))
        for told in filter(None, map(event_finding, drafts)):
            now = now | {told[0].about} if told[1] else now - {told[0].about}
        up[minute] = now
    assert up[2] == up[8] == set()
    assert up[4] == up[5] == {f"{name} chatter"}
