"""A bench file: which line and which port of a second machine plays what of a box's site.

One TOML file: `[bench]` says which box it is and where it comes to, `[[output]]` which line of the
bench stands for which contact, `[[serial]]` which port for which bus, `[power]` what switches the
supply of the box. All errors are told at once, with their lines.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

import drivers
from edge.config import GpioBus, I2cBus, ModbusTcpBus, Problems, Site, load_site
from edge.config.draft import VERSION_KEY, FileDraft
from edge.config.keylines import KeyPath, key_lines
from edge.config.model.fieldtypes import Name
from edge.config.problem import show_value, suggest
from edge.config.tomlfile import read_toml_file
from edge.core import ConfigError
from edge.core.endpoint import endpoint
from edge.durable.readfile import is_regular_file
from edge.rig.recordedcontacts import contact_lines, full_loop, loop_lines
from edge.rig.scenario import FileName, Sentence

VERSION: Final = 1
ROWS_LIMIT: Final = 256
Circuit = Literal["optocoupler", "relay", "open_drain", "direct"]
PULLING: Final = ("optocoupler", "relay", "open_drain")
"""Circuits that close the box's line to its ground; `direct` drives it both ways."""


class BenchAbout(Struct, frozen=True, kw_only=True):
    """Which box, and where it comes to."""

    name: Annotated[Sentence, Meta(description="What people call this bench.")]
    site: Annotated[FileName, Meta(description="The site file of the box, from this folder.")]
    listen: Annotated[
        str,
        Meta(
            description="Where the box finds its broker: mqtt://ADDRESS:PORT of the bench, as its "
            "site file says. The rig listens there."
        ),
    ]


class BenchOutput(Struct, frozen=True, kw_only=True):
    """A line of the bench that stands for a contact of the box."""

    contact: Annotated[
        str,
        Meta(description="`north_1` or `north_1.trail` for a loop, else the name of a device or a "
                         "bay."),
    ]  # fmt: skip
    chip: Annotated[str, Meta(description="Such as /dev/gpiochip0, of the bench.")]
    line: Annotated[str, Meta(description="Its line, by name or number.")]
    circuit: Annotated[
        Circuit,
        Meta(
            description="`optocoupler`, `relay`: a part of its own closes the line of the box to "
            "its ground; `open_drain`: the bench's own line does, on a common ground; `direct`: "
            "it drives the line both ways, on a common ground and with the same voltage."
        ),
    ]
    inverted: Annotated[
        bool, Meta(description="The part is on at a low level, as many relay boards are.")
    ] = False
    back_chip: Annotated[
        str | None, Meta(description="Where the self-test reads it back: a chip of the bench.")
    ] = None
    back_line: Annotated[str | None, Meta(description="And its line.")] = None


class BenchSerial(Struct, frozen=True, kw_only=True):
    """A port of the bench that plays all devices of a bus of the box."""

    bus: Annotated[Name, Meta(description="A serial bus of the site file.")]
    port: Annotated[str, Meta(description="Such as /dev/serial/by-id/..., of the bench.")]
    heard_by: Annotated[
        str | None,
        Meta(description="Where the self-test hears it: another port on the same wires, or the "
                         "same with its ends joined."),
    ] = None  # fmt: skip


class BenchPower(Struct, frozen=True, kw_only=True):
    """What switches the supply of the box: a line of the bench with a relay, or two commands."""

    chip: Annotated[str | None, Meta(description="A chip of the bench.")] = None
    line: Annotated[
        str | None,
        Meta(description="Its line; on: the supply is cut, by a contact that is closed at rest."),
    ] = None
    inverted: Annotated[bool, Meta(description="The relay is on at a low level.")] = False
    off_command: Annotated[str | None, Meta(description="In place of a line.")] = None
    on_command: Annotated[str | None, Meta(description="And back.")] = None
    off_s: Annotated[
        float, Meta(ge=0.5, le=600, description="So long the supply is off in a cut.")
    ] = 5.0


class Bench(Struct, frozen=True, kw_only=True):
    """A whole file, checked. `outputs` by full name (`north_1.lead`)."""

    file: str
    about: BenchAbout
    outputs: Mapping[str, BenchOutput]
    serials: Mapping[str, BenchSerial]
    power: BenchPower | None


def load_bench(path: Path) -> tuple[Bench, Site]:
    """Read and check a whole file. Raises Problems, a ConfigError, with all findings."""
    text, data = read_toml_file(path, "bench")
    draft, lines = FileDraft(data), key_lines(text)
    draft.check_version(VERSION)
    for key in data.keys() - {VERSION_KEY, "bench", "output", "serial", "power"}:
        draft.report((key,), draft.unknown(key, ("bench", "output", "serial", "power")))
    about = draft.table(BenchAbout, ("bench",), data.get("bench", {}))
    outputs = list(_rows(draft, "output", BenchOutput))
    serials = list(_rows(draft, "serial", BenchSerial))
    power = draft.table(BenchPower, ("power",), data["power"]) if "power" in data else None
    site, wrong = _site(draft, path, about)
    if about is not None:
        _listen(draft, about)
    if power is not None:
        _power(draft, power)
    for where, row in outputs:
        if (row.back_chip is None) is not (row.back_line is None):
            draft.report(where, "back_chip and back_line belong together: write both, or none")
    _taken(draft, outputs, power)
    if site is not None:
        _contacts(draft, outputs, site)
        _buses(draft, serials, site)
    problems = [*draft.problems(str(path), lines).problems, *wrong]
    if problems or about is None or site is None:
        raise Problems(problems)
    named = {full_contact(row.contact, site): row for _, row in outputs}
    return Bench(
        file=str(path), about=about, outputs=named, serials={row.bus: row for _, row in serials},
        power=power,
    ), site  # fmt: skip


def full_contact(name: str, site: Site) -> str:
    """`north_1` of a lane is its lead loop; others are called as they are."""
    return full_loop(name) if name in site.lanes else name


def _rows(draft: FileDraft, name: str, model: Any) -> Iterator[tuple[KeyPath, Any]]:
    listed = draft.data.get(name, [])
    if not isinstance(listed, list) or len(listed) > ROWS_LIMIT:
        draft.report((name,), f"does not fit; up to {ROWS_LIMIT} tables [[{name}]] belong here")
        return
    for number, values in enumerate(listed):
        made = draft.table(model, (name, number), values)
        if made is not None:
            yield (name, number), made


def _site(draft: FileDraft, path: Path, about: BenchAbout | None) -> tuple[Site | None, list[Any]]:
    if about is None:
        return None, []
    place = path.parent / about.site
    if not is_regular_file(place):
        draft.report(("bench", "site"), f"{place} is no file; its name counts from the folder of "
                     "the bench file")  # fmt: skip
        return None, []
    try:
        return load_site(place, drivers.catalogue()), []
    except Problems as error:
        return None, list(error.problems)
    except ConfigError as error:
        draft.report(("bench", "site"), f"this site file is wrong: {error}")
        return None, []


def _listen(draft: FileDraft, about: BenchAbout) -> None:
    try:
        place = endpoint(about.listen)
    except ValueError as error:
        draft.report(("bench", "listen"), str(error))
        return
    if place.tls:
        draft.report(("bench", "listen"), "the link of a rig speaks no TLS: use mqtt://")


def _power(draft: FileDraft, power: BenchPower) -> None:
    by_line, by_command = ((power.chip, power.line), (power.off_command, power.on_command))
    if any(by_line) and any(by_command):
        draft.report(("power",), "a line and commands stand here: leave one of them out")
    elif not (all(by_line) or all(by_command)):
        draft.report(("power",), "chip and line belong here, or off_command and on_command")


def _taken(
    draft: FileDraft, outputs: list[tuple[KeyPath, BenchOutput]], power: BenchPower | None
) -> None:
    """A line of the bench is one thing."""
    seen: dict[tuple[str, str], str] = {}
    places = [((*where, "line"), (row.chip, row.line)) for where, row in outputs]
    places += [
        ((*where, "back_line"), (row.back_chip, row.back_line))
        for where, row in outputs if row.back_chip is not None and row.back_line is not None
    ]  # fmt: skip
    if power is not None and power.chip is not None and power.line is not None:
        places.append((("power", "line"), (power.chip, power.line)))
    for where, (chip, line) in places:
        place = chip, f"GPIO{line}" if line.isdecimal() else line
        if place in seen:
            draft.report(where, f"{line} of {chip} is {seen[place]} already")
        seen.setdefault(place, ".".join(map(str, where)))


def _contacts(draft: FileDraft, outputs: list[tuple[KeyPath, BenchOutput]], site: Site) -> None:
    known = [one.source for one in (loop_lines(site) | contact_lines(site)).values()]
    seen: set[str] = set()
    for where, row in outputs:
        name = full_contact(row.contact, site)
        if name not in known:
            draft.report((*where, "contact"), f"no contact is called {show_value(row.contact)}; "
                         + suggest(row.contact, known))  # fmt: skip
        elif name in seen:
            draft.report((*where, "contact"), f"{row.contact} has an output before this one")
        seen.add(name)


def _buses(draft: FileDraft, serials: list[tuple[KeyPath, BenchSerial]], site: Site) -> None:
    others = GpioBus, I2cBus, ModbusTcpBus
    serial = [name for name, bus in site.buses.items() if not isinstance(bus, others)]
    seen: set[str] = set()
    ports: set[str] = set()
    for where, row in serials:
        if row.bus not in serial:
            other = " on lines: use [[output]]" if _is_gpio(site, row.bus) else ""
            draft.report((*where, "bus"), f"no serial bus is called {show_value(row.bus)}{other}; "
                         + suggest(row.bus, serial))  # fmt: skip
        elif row.bus in seen:
            draft.report((*where, "bus"), f"{row.bus} has a port before this one")
        if row.port in ports:
            draft.report((*where, "port"), f"{row.port} plays another bus already")
        seen.add(row.bus)
        ports.add(row.port)


def _is_gpio(site: Site, bus: str) -> bool:
    return isinstance(site.buses.get(bus), GpioBus)
