"""What can break in a scenario: the closed table of faults.

Each row says of what it is, how much of it there can be, how one sees it, and which layer can do
it.

`docs/scenarios.md` is made from here. Faults that a driver's counterpart has by itself stand in
`edge/rig/devicefaults.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.rig.devicefaults import DEVICE_FAULTS
from edge.rig.scenario import LAYERS, Fault, LayerName

TargetKind = Literal[
    "loop", "pair", "contact", "approach", "device", "chip", "bus", "i2c_bus",
    "broker", "link", "power", "clock", "disk", "gateway",
]  # fmt: skip
TARGET_TEXTS: Final[Mapping[TargetKind, str]] = {
    "loop": "a loop: `north_1` is the lead loop of that lane, `north_1.trail` its trail loop",
    "pair": "a lane with two loops, by its name",
    "contact": "a contact, a pulse output or a bay",
    "approach": "an approach",
    "device": "a device on a serial, Modbus or M-Bus line, or behind TCP",
    "chip": "a device on an I2C bus",
    "bus": "a serial line, a Modbus line, or a Modbus endpoint",
    "i2c_bus": "an I2C bus",
    "broker": "the broker of the box",
    "link": "the way between the box and its broker",
    "power": "the supply of the box",
    "clock": "the clock of the box",
    "disk": "the disk of the box",
    "gateway": "the program under test",
}
SYSTEM: Final[tuple[TargetKind, ...]] = ("broker", "link", "power", "clock", "disk", "gateway")
"""Targets that are called so in every scenario."""
OFFSET: Final = "offset"
Cannot = Mapping[LayerName, str]


def _plain(number: float) -> str:
    """Without an exponent, which not everybody reads."""
    return f"{number:.0f}" if number == round(number) else f"{number:g}"


@dataclass(frozen=True, slots=True)
class Measure:
    """How much of a fault. `default` None: the scenario has to say it."""

    what: str
    unit: str
    low: float
    high: float
    default: float | None = None

    @property
    def text(self) -> str:
        """As a sentence's end: `seconds, 0.5 to 3600 (5 if left out)`."""
        more = "" if self.default is None else f" ({self.default:g} if left out)"
        return f"{self.what}, {_plain(self.low)} to {_plain(self.high)} {self.unit}".rstrip() + more


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row. `seen` is how the rig sees that it is in force; `cannot`: layer -> why not."""

    target: TargetKind
    name: str
    text: str
    seen: str
    cannot: Cannot = field(default_factory=dict)
    measure: Measure | None = None
    heals: bool = True

    @property
    def layers(self) -> tuple[LayerName, ...]:
        """Those that can do it."""
        return tuple(layer for layer in LAYERS if layer not in self.cannot)


NO_CHIP: Final = "the bench has no adapter that answers as an I2C chip"
NO_PLUG: Final = "nothing on the bench can pull a plug"
NO_LOGIN: Final = "the rig does not log in to a box on the bench"
HOST_DISK: Final = "the disk is this machine's"
HOST_FLUSH: Final = "the disk is this machine's, which flushes for one process as for all"
NO_TLS: Final = "the broker of this layer speaks MQTT without TLS"
OWN_TRUST: Final = "the box would have to trust the rig's authority"
VEHICLES: Final = "vehicles that pass while it lasts, and what the contact does then"
QUESTIONS: Final = "questions to the device while it lasts, and what it answers"
MESSAGES: Final = "what the box sends or tries while it lasts, and what becomes of it"


def _both(first: TargetKind, second: TargetKind, row: FaultKind, cannot: Cannot) -> list[FaultKind]:
    """The same fault of two targets; the second has `cannot`."""
    return [
        FaultKind(first, row.name, row.text, row.seen, row.cannot, row.measure),
        FaultKind(second, row.name, row.text, row.seen, cannot, row.measure),
    ]


def _contacts() -> Iterator[FaultKind]:
    rows = {
        "stuck_on": "it is closed all the time",
        "dead": "it never closes",
        "chatter": "it opens and closes by itself, several times a second",
        "bounce": "it springs back for some milliseconds at each change",
    }
    for name, text in rows.items():
        yield from _both("loop", "contact", FaultKind("loop", name, text, VEHICLES), {})


def _loops() -> Iterator[FaultKind]:
    for name, text in {
        "crosstalk": "it answers together with the card of the lane beside it",
        "splashover": "it feels some of the vehicles on the lane beside it",
        "breakup": "it loses long vehicles in their middle",
        "late_release": "after some of the vehicles it stays closed for seconds",
        "undercount": "it does not feel every third vehicle",
        "inverted": "its polarity is wrong: closed while nobody is there",
    }.items():
        yield FaultKind("loop", name, text, VEHICLES)
    yield FaultKind("pair", "swapped", "the loop that is reached second is wired as the first",
                    VEHICLES)  # fmt: skip
    yield FaultKind("pair", "dead_pair", "neither loop feels anything: their feeder is cut",
                    VEHICLES)  # fmt: skip
    yield FaultKind("approach", "dead_card", "the card of all its loops feels nothing", VEHICLES)


def _devices() -> Iterator[FaultKind]:
    chip: Cannot = {"bench": NO_CHIP}
    point = Measure("added to the value, in the unit of the point", "", -1e6, 1e6)
    text = "the point DEVICE.POINT reads so much too high, or with - too low"
    yield from _both(
        "device", "chip", FaultKind("device", OFFSET, text, QUESTIONS, measure=point), chip
    )
    for name, text in DEVICE_FAULTS.items():
        yield from _both("device", "chip", FaultKind("device", name, text, QUESTIONS), chip)
    yield from _both("bus", "i2c_bus", FaultKind(
        "bus", "silent", "its wires are cut: nobody answers", QUESTIONS), chip)  # fmt: skip
    yield FaultKind("i2c_bus", "stuck", "a wire is held low: every transfer fails", QUESTIONS, chip)
    yield FaultKind("bus", "noise", "random bytes come now and then", QUESTIONS)
    gone: Cannot = {"bench": NO_PLUG}
    text = "the adapter, or the endpoint, is gone"
    yield from _both("bus", "i2c_bus", FaultKind("bus", "unplugged", text, QUESTIONS, gone), gone)


def _network() -> Iterator[FaultKind]:
    yield FaultKind("broker", "down", "it has stopped: connections end, and none is made",
                    MESSAGES)  # fmt: skip
    yield FaultKind("broker", "flap", "it goes and comes back, again and again", MESSAGES,
                    measure=Measure("each time for so long", "s", 0.5, 3600, 5))  # fmt: skip
    yield FaultKind("broker", "quota", "it refuses each record: the quota is used up (151)",
                    MESSAGES)  # fmt: skip
    yield FaultKind("broker", "expired_certificate", "its certificate has ended", MESSAGES,
                    {"sim": NO_TLS, "bench": OWN_TRUST})  # fmt: skip
    yield FaultKind("link", "down", "connections end at once, and none is made", MESSAGES)
    yield FaultKind("link", "reset", "each connection ends once, by a reset", MESSAGES,
                    heals=False)  # fmt: skip
    yield FaultKind("link", "black_hole", "connections stay open, and nothing comes through",
                    MESSAGES)  # fmt: skip
    yield FaultKind("link", "latency", "everything comes later, by a fifth of it more or less",
                    MESSAGES, measure=Measure("later by", "s", 0.001, 60, 1))  # fmt: skip
    yield FaultKind("link", "bandwidth", "the way is narrow", MESSAGES,
                    measure=Measure("not more than", "kbit/s", 0.1, 1e6))  # fmt: skip
    share = Measure("the share of them", "", 0.001, 1)
    yield FaultKind("link", "chunk_loss", "pieces of the stream are missing, and the rest is "
                    "damaged", MESSAGES, measure=share)  # fmt: skip
    no_packets = "TCP within one machine loses no packets: use `black_hole`"
    yield FaultKind("link", "packet_loss", "packets are lost, and TCP sends them again", MESSAGES,
                    {"sim": no_packets, "pty": no_packets,
                     "bench": "the network of the box is its own"}, share)  # fmt: skip


def _box() -> Iterator[FaultKind]:
    yield FaultKind("power", "cut", "the supply is gone and comes back: what was only in memory is "
                    "lost", "the box starts again",
                    {"sim": "its disk has no cache that loses anything"}, heals=False)  # fmt: skip
    yield FaultKind("clock", "jump", "the wall clock is set, forward or with - backward",
                    "the clock before and after",
                    {"bench": NO_LOGIN},
                    Measure("by", "s", -1e9, 1e9), heals=False)  # fmt: skip
    yield FaultKind("disk", "full", "nothing can be written any more", "no room is left",
                    {"sim": HOST_DISK, "bench": NO_LOGIN})  # fmt: skip
    yield FaultKind("disk", "slow_fsync", "each flush takes so long", "flushes while it lasts",
                    {"sim": HOST_DISK, "pty": HOST_FLUSH, "bench": NO_LOGIN},
                    Measure("for", "s", 0.01, 60, 2))  # fmt: skip
    yield FaultKind("gateway", "kill", "it is killed, and started again as systemd does",
                    "the process ends, and another one begins", {"bench": NO_LOGIN},
                    heals=False)  # fmt: skip
    yield FaultKind("gateway", "stop", "it stands still, and goes on", "the process has stopped",
                    {"bench": NO_LOGIN})  # fmt: skip


FAULT_KINDS: Final[tuple[FaultKind, ...]] = (
    *_contacts(), *_loops(), *_devices(), *_network(), *_box(),
)  # fmt: skip
_BY_NAME: Final = {(row.target, row.name): row for row in FAULT_KINDS}


def find_kind(target: TargetKind, name: str) -> FaultKind | None:
    """The row of a fault; None where such a target cannot show it."""
    return _BY_NAME.get((target, name))


def kinds_of(target: TargetKind) -> list[str]:
    """What a target can show, as far as the table goes."""
    return [row.name for row in FAULT_KINDS if row.target == target]


def able_layers(rows: Iterable[FaultKind]) -> tuple[LayerName, ...]:
    """Layers that can do all of these."""
    wanted = [set(row.layers) for row in rows]
    return tuple(layer for layer in LAYERS if all(layer in each for each in wanted))


def cabinet_words(fault: Fault) -> tuple[str, str]:
    """Target and fault, as `edge.cabinet` calls them: ("hut_air", "pm2_5=+60")."""
    if fault.kind != OFFSET:
        return fault.target, fault.kind
    device, _, point = fault.target.rpartition(".")
    return device, f"{point}={fault.amount or 0.0:+.9f}"
