"""A signal, a bay and a corridor for the street of the contract: what their contacts say."""

from collections.abc import Iterator

from edge.core import Contact
from edge.infer.sites import ApproachSite, LaneSite
from edge.process.approachsignal import SignalSetup
from edge.process.baywindow import BaySetup
from edge.process.engine import LaneSetup
from edge.process.phase import PhaseSetup
from tests.kit.engine import S, presences

STOP = LaneSetup("south_1", "south", limit_kmh=50.0)
AHEAD = LaneSetup("south_2", "south")
UPPER = (LaneSetup("hill_1", "hill"), LaneSetup("hill_2", "hill"))
LOWER = LaneSetup("bridge_1", "bridge")
LANES = (STOP, AHEAD, *UPPER, LOWER)
BAY = BaySetup("bakery", "loading", max_stay_min=5.0)
SIGNAL = SignalSetup(
    "south",
    (PhaseSetup("south_red", "south", "red"), PhaseSetup("south_green", "south", "green")),
    (("south_1", "stop"), ("south_2", "advance")),
)
LINES = (*(lane.lead for lane in LANES), "bakery", "south_red", "south_green")
SITES = (
    LaneSite("south_1", "south", "stop", limit_kmh=50.0),
    LaneSite("south_2", "south", "advance"),
    LaneSite("hill_1", "hill", "corridor"),
    LaneSite("hill_2", "hill", "corridor"),
    LaneSite("bridge_1", "bridge", "corridor"),
)
APPROACHES = (
    ApproachSite("north"), ApproachSite("east"), ApproachSite("bikes"), ApproachSite("west"),
    ApproachSite("south"), ApproachSite("hill", "bridge", 400.0), ApproachSite("bridge"),
)  # fmt: skip


def on_the_roads(minute: int) -> Iterator[Contact]:
    """What all of them say in a minute."""
    yield from _signal(minute)
    yield from _bay(minute)
    yield from _corridor(minute)


def _signal(minute: int) -> list[Contact]:
    """Green from second 5 to 30. From minute 20 to 35 the signal is off."""
    at = 60.0 * minute
    colours = presences("south_green", (at + 5, at + 30))
    colours += [Contact("south_red", False, round((at + 5) * S))]
    colours += [Contact("south_red", True, round((at + 31) * S))]
    contacts = colours if not 20 <= minute < 35 else []
    if minute == 6:  # the green does not serve the queue
        return contacts + presences("south_1.lead", (at + 2, at + 40))
    # two at the stop line before green, two that follow each other closely, one alone
    contacts += presences("south_1.lead", (at + 1, at + 6), (at + 8, at + 9), (at + 18, at + 18.5))
    contacts += presences("south_1.lead", (at + 19, at + 19.5), (at + 50, at + 50.5))
    return contacts + presences("south_2.lead", (at + 3, at + 7), (at + 14, at + 14.5))


def _bay(minute: int) -> list[Contact]:
    """One who stays for eight minutes where five are allowed, then short ones."""
    at = 60.0 * minute
    contacts = []
    if minute in (4, 12):
        contacts.append(Contact("bakery", minute == 4, round((at + 20) * S)))
    if minute in (20, 40):
        contacts += presences("bakery", (at + 5, at + 8), (at + 15, at + 55))
    if minute == 55:  # it chatters
        contacts += [Contact("bakery", i % 2 == 0, round((at + i / 250) * S)) for i in range(400)]
    if minute == 50:  # edges are lost
        contacts.append(Contact("bakery", True, round((at + 9) * S), lost=2))
        contacts.append(Contact("bakery", False, round((at + 39) * S)))
    return contacts


def _corridor(minute: int) -> list[Contact]:
    """From minute 40 to 47 something blocks the road between hill and bridge.

    The loop of hill_2 sees nothing from minute 10 to 30.
    """
    at = 60.0 * minute
    blocked = 40 <= minute < 47
    contacts = []
    for i in range(10):
        begin = at + 6 * i
        if blocked:
            contacts += presences("hill_1.lead", (begin, begin + 5))
            contacts += presences("hill_2.lead", (begin + 0.7, begin + 5.5))
            if i % 3 == 0:  # some get past
                contacts += presences("bridge_1.lead", (begin + 3, begin + 3.4))
            continue
        contacts += presences("hill_1.lead", (begin, begin + 0.4))
        contacts += presences("bridge_1.lead", (begin + 3, begin + 3.4))
        if not 10 <= minute < 30:
            contacts += presences("hill_2.lead", (begin + 1.7, begin + 2.1))
    return contacts
