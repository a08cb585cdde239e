"""What the rig sees of a broken contact, in virtual time: pulses are shorter than its looks."""

from pathlib import Path

import pytest

from drivers.sim.traffic import Flow
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskplaces import desk_places
from edge.cabinet.playedlines import StreetWish
from edge.config import Site
from edge.rig.scenario import Fault
from edge.rig.streetplay import StreetPlay
from edge.rig.wirefaults import WireFaults
from tests.rig.scenes import read_site, scenario

S = 1_000_000_000
CHARGER = """
[device.charger]
driver = "s0"
bus = "loops"
line = "GPIO16"
imp_per_kwh = 1000
"""
PULSES = 7  # of the charger in 30 s: 900 W and 1000 of them for a kWh are one in 4 s


class Contacts:
    """A cabinet without traffic, looked at once a second."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.now_ns = 0
        placed = placed_site(site, desk_places(site, folder, {}))
        self.cabinet = Cabinet(placed, street=StreetWish(Flow(0.0)), clock_ns=lambda: self.now_ns)
        street = StreetPlay(scenario(folder, 60.0), self.cabinet)
        self.faults = WireFaults(self.cabinet, street, lambda: self.now_ns, 0)
        for lines in self.cabinet.lines.values():
            for contact in lines.contacts.values():
                contact.begin(0)
            for play in lines.plays:
                play.begin(0)

    def look_until(self, fault: Fault, t_s: int) -> tuple[int, list[str]]:
        for second in range(self.now_ns // S, t_s):
            self.now_ns = second * S + S // 2  # pulses come on the second
            self.cabinet.timeline.run_until(self.now_ns)
            through, seen = self.faults.evidence(fault)
        return through, [one.text for one in seen]


@pytest.fixture
def contacts(tmp_path: Path) -> Contacts:
    return Contacts(tmp_path, read_site(tmp_path, CHARGER))


@pytest.mark.parametrize("kind", ["chatter", "bounce", "stuck_on", "dead"])
def test_pulses_go_through_a_broken_contact_and_what_it_shows_is_told(
    contacts: Contacts, kind: str
) -> None:
    fault = Fault(name="f", target="charger", kind=kind, at_s=0.0, for_s=30.0)
    contacts.faults.begin(fault)
    through, seen = contacts.look_until(fault, 30)
    assert through in range(2 * PULSES, 2 * PULSES + 2)  # each opens it and closes it
    assert seen
    assert "in place of" in seen[0]


def test_where_no_pulse_is_due_nothing_has_gone_through(contacts: Contacts) -> None:
    fault = Fault(name="f", target="charger", kind="dead", at_s=0.0, for_s=3.0)
    contacts.faults.begin(fault)
    assert contacts.look_until(fault, 3) == (0, [])
