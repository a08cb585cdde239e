"""P1 telegrams: dsmr-parser, with the specification that its own tests take for each."""

import importlib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

from drivers.chips import dsmr, iec62056_push
from drivers.chips._telegram import next_telegram
from edge.core import DataError, Sample
from tests.frames.codes import Decoded, named
from tests.frames.literals import literals
from tests.frames.outcome import Case

EXAMPLES: Final = "dsmr/dsmr_parser_example_telegrams.py.txt"
NAMED: Final = {  # what it calls a value -> groups C, D, E
    "ELECTRICITY_IMPORTED_TOTAL": (1, 8, 0),
    "ELECTRICITY_EXPORTED_TOTAL": (2, 8, 0),
    "ELECTRICITY_REACTIVE_IMPORTED_TOTAL": (3, 8, 0),
    "ELECTRICITY_REACTIVE_EXPORTED_TOTAL": (4, 8, 0),
    **{f"ELECTRICITY_USED_TARIFF_{n}": (1, 8, n) for n in (1, 2)},
    **{f"ELECTRICITY_DELIVERED_TARIFF_{n}": (2, 8, n) for n in (1, 2)},
    "CURRENT_ELECTRICITY_USAGE": (1, 7, 0),
    "CURRENT_ELECTRICITY_DELIVERY": (2, 7, 0),
    **{
        f"INSTANTANEOUS_ACTIVE_POWER_L{n}_{way}": (20 * n + side, 7, 0)
        for n in (1, 2, 3)
        for side, way in ((1, "POSITIVE"), (2, "NEGATIVE"))
    },
    **{f"INSTANTANEOUS_VOLTAGE_L{n}": (20 * n + 12, 7, 0) for n in (1, 2, 3)},
    **{f"INSTANTANEOUS_CURRENT_L{n}": (20 * n + 11, 7, 0) for n in (1, 2, 3)},
}
COUNTS: Final = {
    "SHORT_POWER_FAILURE_COUNT": "power_failures",
    "LONG_POWER_FAILURE_COUNT": "long_power_failures",
}
KINDS: Final = {3: "gas_volume", 7: "water_volume", 6: "warm_water_volume", 4: "heat_energy"}
READING: Final = re.compile(r".*(METER_READING|METER_HEAT|METER_COOLING)$")
M3, GJ, KWH_OF_GJ = "m3", "GJ", Decimal(1000) / Decimal("3.6")
SPECIFIED: Final = {  # telegram -> specification; others: the version that the telegram tells
    "TELEGRAM_V2_2": "V2_2",
    "TELEGRAM_V3": "V3",
    "TELEGRAM_ESY5Q3DB1024_V304": "Q3D",
    "TELEGRAM_ESY5Q3DA1004_V304": "Q3D",
    "TELEGRAM_FLUVIUS_V171": "BELGIUM_FLUVIUS",
    "TELEGRAM_FLUVIUS_V171_ALT": "BELGIUM_FLUVIUS",
    "TELEGRAM_SAGEMCOM_T210_D_R": "SAGEMCOM_T210_D_R",
    "TELEGRAM_ISKRA_IE": "ISKRA_IE",
    "TELEGRAM_V5_EON_HU": "EON_HUNGARY",
}


def examples(files: Mapping[str, bytes]) -> Iterator[Case]:
    """The example telegrams of dsmr-parser."""
    for name, text in literals(files.get(EXAMPLES, b"")):
        if isinstance(text, str) and text.lstrip().startswith("/"):
            yield _case(name, text)


def tests(files: Mapping[str, bytes]) -> Iterator[Case]:
    """The telegrams in the tests that dsmr-parser's package carries."""
    found: dict[str, str] = {}
    for path, data in files.items():
        if path.startswith("test/"):
            for name, text in literals(data):
                if isinstance(text, str) and text.startswith("/") and "\r\n!" in text:
                    found.setdefault(text, name)
    for text, name in found.items():
        yield _case(name, text)


def samples(files: Mapping[str, bytes]) -> Iterator[Case]:
    """The telegrams of P1 ports among the samples of the package iec62056."""
    for name, text in literals(files["iec62056/samples.py"]):
        if isinstance(text, bytes) and b"\r\n!" in text:
            yield _case(name, text.decode("latin-1"))


def _case(name: str, text: str) -> Case:
    """The telegram is cut out as the port does it: some samples go on behind its end."""
    specification = SPECIFIED.get(name) or _version(text)
    again = partial(ours, pushed=specification == "Q3D")
    frame, _ = next_telegram(text.encode("latin-1"))
    return Case(name, again(frame or b""), dsmr_parser(text, specification), 0, frame or b"", again)


def _version(text: str) -> str:
    """By the line with the version; without one, DSMR 2 or 3."""
    found = re.search(r"^1-3:0\.2\.8\((\d)", text, re.MULTILINE)
    return "V5" if found is None and "0-0:96.1.4" in text else f"V{found[1]}" if found else "V3"


def ours(frame: bytes, pushed: bool) -> Mapping[str, Sample] | str:
    """What the driver makes of it, or why it refuses; the Q3D is a meter of mode D, not of P1."""
    try:
        explain = iec62056_push.explain if pushed else dsmr.explain
        return explain([frame])
    except DataError as damage:
        return str(damage)


def dsmr_parser(text: str, specification: str) -> dict[str, float | None] | str:
    """What dsmr-parser makes of it under our points, or what it raises."""
    known = importlib.import_module("dsmr_parser.telegram_specifications")
    parser = importlib.import_module("dsmr_parser.parsers").TelegramParser
    rules = dict(getattr(known, specification))
    rules.pop("general_global_cipher", None)  # the telegram inside stands here as it is
    try:
        telegram = parser(rules).parse(text, throw_ex=True)
    except Exception as raised:  # noqa: BLE001  whatever it raises, it refuses
        return f"{type(raised).__name__}: {raised}"
    values: list[Decoded] = []
    found: dict[str, float | None] = {}
    for name, item in telegram:
        if name in NAMED:
            values.append((NAMED[name], item.value, item.unit or ""))
        elif name in COUNTS:
            found[COUNTS[name]] = None if item.value is None else float(item.value)
    found |= named(values)
    for device in telegram.MBUS_DEVICES if hasattr(telegram, "MBUS_DEVICES") else ():
        key, value = _device(device)
        if key and found.get(key) is None:
            found[key] = value
    return found


def _device(device: Any) -> tuple[str, float | None]:
    """Its point and its reading; without a unit it was never read."""
    decoded = dict(iter(device))
    kind = next((decoded[name].value for name in decoded if name.endswith("DEVICE_TYPE")), None)
    reading = next((decoded[name] for name in decoded if READING.match(name)), None)
    key = KINDS.get(int(kind)) if kind is not None else None
    if key is None or reading is None:
        return "", None
    if reading.value is None or reading.unit not in (M3, GJ):
        return key, None
    return key, float(reading.value * (KWH_OF_GJ if reading.unit == GJ else 1))
