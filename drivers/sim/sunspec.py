"""A simulated device with SunSpec models: a common model, others, and one meter.

It answers reads of its list of models (function 3), on a line or over TCP. Its layout is the
order of the official definition, written out on its own. Faults are those of any simulated unit,
see FAULTS; it can also be moved, be of another model, and lack points: what is not among its
values is "not implemented".
"""

import math
import struct
from collections.abc import Mapping
from typing import Final

from drivers.sim.meter_unit import FAULTS, Image, Unit, Values, write_registers

__all__ = ["FAULTS", "SunSpec"]

# what follows each other, with the unit of a step in the integer models and the smallest exponent
LAYOUT: Final = (
    ("current_sum current_l1 current_l2 current_l3", 1.0, -3),
    ("voltage_avg voltage_l1 voltage_l2 voltage_l3"
     " voltage_ll_avg voltage_l12 voltage_l23 voltage_l31", 1.0, -2),
    ("frequency", 1.0, -2),
    ("power power_l1 power_l2 power_l3", 1.0, -1),
    ("apparent_power apparent_power_l1 apparent_power_l2 apparent_power_l3", 1.0, -1),
    ("reactive_power reactive_power_l1 reactive_power_l2 reactive_power_l3", 1.0, -1),
    ("power_factor power_factor_l1 power_factor_l2 power_factor_l3", 0.01, -2),
    ("energy_export energy_export_l1 energy_export_l2 energy_export_l3"
     " energy_import energy_import_l1 energy_import_l2 energy_import_l3", 0.001, 0),
    ("apparent_energy_export apparent_energy_export_l1 apparent_energy_export_l2"
     " apparent_energy_export_l3 apparent_energy_import apparent_energy_import_l1"
     " apparent_energy_import_l2 apparent_energy_import_l3", 0.001, 0),
    ("reactive_energy_q1 reactive_energy_q1_l1 reactive_energy_q1_l2 reactive_energy_q1_l3"
     " reactive_energy_q2 reactive_energy_q2_l1 reactive_energy_q2_l2 reactive_energy_q2_l3"
     " reactive_energy_q3 reactive_energy_q3_l1 reactive_energy_q3_l2 reactive_energy_q3_l3"
     " reactive_energy_q4 reactive_energy_q4_l1 reactive_energy_q4_l2 reactive_energy_q4_l3",
     0.001, 0),
)  # fmt: skip


class SunSpec(Unit):
    """`values` per point, in our units. `base` is where "SunS" is; `before` are other models
    (identifier, registers) that stand before the common model's meter; `events` its 32 bits.
    """

    def __init__(
        self,
        values: Values,
        model: int = 203,
        base: int = 40_000,
        serial: str = "12345678",
        before: tuple[tuple[int, int], ...] = ((103, 50),),
        events: int = 0,
    ) -> None:
        super().__init__(gaps="refuse")
        self.values, self.model, self.base, self.serial = values, model, base, serial
        self.before, self.events = before, events

    def held(self) -> dict[str, float]:
        now = self.values() if callable(self.values) else self.values
        return {key: value for key, value in now.items() if value is not None}

    def image(self, function: int) -> Image:
        image: dict[int, tuple[int, bytes]] = {}
        if function != 3:
            return image
        common = b"".join(
            text.encode().ljust(size, b"\0")
            for text, size in (
                ("Kerbstone", 32), ("Simulated", 32), ("", 16), ("1", 16), (self.serial, 32),
            )
        ) + struct.pack(">HH", 1, 0x8000)  # fmt: skip
        models = [(1, common), *((number, bytes(2 * size)) for number, size in self.before)]
        models.append((self.model, self.meter()))
        whole = b"SunS"
        for number, body in models:
            whole += struct.pack(">HH", number, len(body) // 2) + body
        whole += struct.pack(">HH", 0xFFFF, 0)
        for at in range(0, len(whole), 2):  # each register may be read alone
            write_registers(image, self.base + at // 2, whole[at : at + 2])
        return image

    def meter(self) -> bytes:
        """The meter's model without its head."""
        now = self.held()
        if self.model > 210:
            rows = [(key, unit) for keys, unit, _ in LAYOUT for key in keys.split()]
            body = b"".join(_float(key, unit, now) for key, unit in rows)
        else:
            body = b"".join(_group(keys.split(), unit, low, now) for keys, unit, low in LAYOUT)
        return body + struct.pack(">L", self.events)


def _float(key: str, unit: float, now: Mapping[str, float]) -> bytes:
    factor = 1000.0 if unit == 0.001 else 1.0  # energies in Wh
    return struct.pack(">f", now[key] * factor if key in now else math.nan)


def _group(keys: list[str], unit: float, low: int, now: Mapping[str, float]) -> bytes:
    """Values and their scale factor: the finest with which all of them fit."""
    wide = unit == 0.001
    largest = 2**32 - 1 if wide else 32_767
    steps = {key: now[key] / unit for key in keys if key in now}
    scale = low
    while any(abs(step) / 10.0**scale > largest for step in steps.values()):
        scale += 1
    out = b""
    for key in keys:
        raw = round(steps[key] / 10.0**scale) if key in steps else (0 if wide else -0x8000)
        out += struct.pack(">L" if wide else ">h", raw)
    return out + struct.pack(">h", scale if steps else -0x8000)
