"""The registers of a simulated DLMS/COSEM meter: code, type of the number, exponent, unit.

Source: IEC 62056-61 (codes), IEC 62056-62 (class 3, data types, enumerated units).
"""

import struct
from collections.abc import Mapping
from typing import Final

W, VAR, WH, VARH, A, V, HZ, NONE = 27, 29, 30, 32, 33, 35, 44, 255
I32, I16, U16, U32, U64, F32 = 5, 16, 18, 6, 21, 23
FORMS: Final = {I32: ">i", I16: ">h", U16: ">H", U32: ">I", U64: ">Q", F32: ">f"}
# point -> C.D.E, type of its number, exponent, unit, sign: -1 where what is given is told apart
ROWS: Final[dict[str, tuple[tuple[str, int, int, int, int], ...]]] = {
    "energy_import": (("1.8.0", U64, 0, WH, 0),),
    **{f"energy_import_t{t}": ((f"1.8.{t}", U32, 1, WH, 0),) for t in (1, 2, 3, 4)},
    "energy_export": (("2.8.0", U32, 0, WH, 0),),
    "reactive_energy_import": (("3.8.0", U32, 0, VARH, 0),),
    "reactive_energy_export": (("4.8.0", U32, 0, VARH, 0),),
    "power": (("16.7.0", I32, -1, W, 0),),
    **{
        f"power_l{n}": ((f"{1 + 20 * n}.7.0", U32, -1, W, 1), (f"{2 + 20 * n}.7.0", U32, -1, W, -1))
        for n in (1, 2, 3)
    },
    "reactive_power": (("3.7.0", U32, 0, VAR, 1), ("4.7.0", U32, 0, VAR, -1)),
    **{f"voltage_l{n}": ((f"{12 + 20 * n}.7.0", U16, -1, V, 0),) for n in (1, 2, 3)},
    **{f"current_l{n}": ((f"{11 + 20 * n}.7.0", I32, -3, A, 0),) for n in (1, 2, 3)},
    "power_factor": (("13.7.0", I16, -3, NONE, 0),),
    "frequency": (("14.7.0", F32, 0, HZ, 0),),
}  # fmt: skip
KILO: Final = (WH, VARH)  # points have kWh and kvarh


def register(values: Mapping[str, float], code: bytes, attribute: int) -> bytes | None:
    """Value (2), or exponent and unit (3), of the register with this code; None without one."""
    for key, rows in ROWS.items():
        for name, kind, exponent, unit, sign in rows:
            spelt = bytes([1, 0, *map(int, name.split(".")), 255])
            if code != spelt or key not in values:
                continue
            if attribute == 3:
                return b"\x02\x02\x0f" + struct.pack(">bBB", exponent, 0x16, unit)
            if attribute != 2:
                return None
            part = max(values[key] * sign, 0.0) if sign else values[key]
            count = part * (1000 if unit in KILO else 1) / 10.0**exponent
            number = count if kind == F32 else round(count)
            return bytes([kind]) + struct.pack(FORMS[kind], number)
    return None
