"""Any configuration of one box: names are few, so that two of them give one name to two things."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

LINES: Final = "abcdefghij"
NAMES: Final = ("heat", "hut_air", "main_meter", "north_1", "x1", "yard")
AIRS: Final = ("pms5003", "sds011", "pms7003")
METERS: Final = ("sdm120", "sdm230", "sdm630")
HEAD: Final = """
[site]
id = "stadt"
gateway = "gw-1"
period_s = {period_s}
[store]
dir = "{folder}/store"
run_dir = "{folder}/run"
ballast_mb = 0
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[streams]
raw = {raw}
raw_commit_s = {raw_commit_s}
[privacy]
passages = true
[models]
congestion = {models}
anomaly = {models}
loopfault = {models}
"""
BUSES: Final = {
    "loops": 'kind = "gpio"\n',
    "meters": 'kind = "modbus-tcp"\nhost = "localhost"\n',
}


@dataclass(frozen=True, slots=True)
class Config:
    """One valid configuration; `parts` are the tables of what hangs on the wires."""

    period_s: int
    raw: bool
    raw_commit_s: float
    models: bool
    parts: tuple[str, ...]
    buses: Mapping[str, str] = field(default_factory=dict)

    def text(self, folder: Path) -> str:
        words = {name: str(value).lower() for name, value in self._words().items()}
        buses = (f"[bus.{name}]\n{reported}" for name, reported in self.buses.items())
        return HEAD.format(folder=folder, **words) + "".join((*buses, *self.parts))

    def _words(self) -> dict[str, Any]:
        names = ("period_s", "raw", "raw_commit_s", "models")
        return {name: getattr(self, name) for name in names}


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any of them; the names are few, so that two of them give one name to two things."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    lines = iter(draw(st.permutations(LINES)))
    parts: list[str] = []
    buses: dict[str, str] = {}
    for number, name in enumerate(names):
        kind = draw(st.sampled_from(("air", "meter", "meter", "s0", "contact", "lane", "bay")))
        parts.append(_part(draw, name, kind, number, lines, buses))
    return Config(
        draw(st.sampled_from((5, 5, 10))),
        draw(st.sampled_from((True, True, False))),
        draw(st.sampled_from((0, 1, 60))),
        draw(st.booleans()),
        tuple(parts),
        buses,
    )


def _part(
    draw: st.DrawFn, name: str, kind: str, number: int, lines: Iterator[str], buses: dict[str, str]
) -> str:
    def one(*reported: str) -> str:
        return draw(st.sampled_from(reported))

    if kind == "air":
        bus = f"air{number}"
        buses[bus] = f'kind = "serial"\nport = "/dev/tty{number}"\n'
        return f'[device.{name}]\ndriver = "{one(*AIRS)}"\nbus = "{bus}"\n'
    if kind == "meter":
        buses["meters"] = BUSES["meters"]
        some = one("", "", 'points = ["energy_import", "power"]\n', 'points = ["energy_import"]\n')
        driver = one(*METERS)
        turned = one("", "", "", "reversed = true\n") if not some else ""
        return (
            f'[device.{name}]\ndriver = "{driver}"\nbus = "meters"\nunit = {number + 1}\n'
            f"{some}{turned}"
        )
    buses["loops"] = BUSES["loops"]
    head = 'bus = "loops"\nactive = "high"\n'
    if kind == "s0":
        reported = f'driver = "s0"\nline = "{next(lines)}"\nimp_per_kwh = {one("500", "1000")}\n'
        return f"[device.{name}]\n{head}{reported}"
    if kind == "contact":
        reported = f'driver = "contact"\nline = "{next(lines)}"\nevent = "{one("door", "plug")}"\n'
        return f"[device.{name}]\n{head}{reported}"
    if kind == "bay":
        return f'[bay.{name}]\n{head}line = "{next(lines)}"\nkind = "loading"\nmin_stay_s = 0\n'
    trail = f'trail = "{next(lines)}"\nspacing_m = {one("3.5", "4.0")}\n' if one("pair", "") else ""
    approach = one("north", "east")
    return f'[lane.{name}]\n{head}approach = "{approach}"\nlead = "{next(lines)}"\n{trail}'
