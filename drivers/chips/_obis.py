"""OBIS: the codes by which energy meters of many protocols name a value, and who they are.

Source: IEC 62056-61 and DLMS UA Blue Book (value groups A to F); the short spelling of IEC
62056-21; BDEW/EDI@Energy list of OBIS codes for the German codes.
"""

import re
from types import MappingProxyType
from typing import Final, NamedTuple

CURRENT: Final = 255  # group F of a value of now; anything else is one of the past
UNSAID: Final = 255  # group E as some meters write it where others write 0
LETTERS: Final = MappingProxyType({"C": 96, "F": 97, "L": 98, "P": 99})


class Obis(NamedTuple):
    """One code. Groups: medium, channel, quantity, kind of processing, tariff, storage."""

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int = CURRENT

    def __str__(self) -> str:
        end = "" if self.f == CURRENT else f"*{self.f}"
        return f"{self.a}-{self.b}:{self.c}.{self.d}.{self.e}{end}"


_WRITTEN: Final = re.compile(
    r"(?:(?P<a>[0-9]{1,3})-(?P<b>[0-9]{1,3}):)?"
    r"(?P<c>[0-9]{1,3}|[CFLP])\.(?P<d>[0-9]{1,3}|F)(?:\.(?P<e>[0-9]{1,3}))?"
    r"(?:[*&.](?P<f>[0-9]{1,3}))?"
)
_DOTTED: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){5}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{12}")


def parse_obis(text: str) -> Obis | None:
    """Read a code as people and meters write it; None for what is none.

    "1-0:1.8.0*255", "1-0:1.8.0", "1.8.0", "1.8.0*03", "C.1.0", "F.F", "1.0.1.8.0.255" and
    "0100010800FF" are all right. Without a medium it is electricity; C, F, L, P are general.
    """
    if _HEX.fullmatch(text):
        return from_bytes(bytes.fromhex(text))
    if _DOTTED.fullmatch(text):
        numbers = [int(part) for part in text.split(".")]
    elif found := _WRITTEN.fullmatch(text):
        c, letter = LETTERS.get(found["c"], -1), found["c"] in LETTERS
        numbers = [
            int(found["a"] or (0 if letter else 1)),
            int(found["b"] or 0),
            c if letter else int(found["c"]),
            LETTERS["F"] if found["d"] == "F" else int(found["d"]),
            int(found["e"] or 0),
            int(found["f"] or CURRENT),
        ]
    else:
        return None
    return Obis(*numbers) if max(numbers) <= 255 else None


def from_bytes(raw: bytes) -> Obis | None:
    """The six bytes of SML and DLMS; None for another length."""
    return Obis(*raw) if len(raw) == 6 else None


SERIALS: Final = (  # best first
    Obis(0, 0, 96, 1, 0),  # C.1.0, serial number of the maker
    Obis(0, 0, 96, 1, 1),  # the electricity meter of a DSMR telegram
    Obis(1, 0, 96, 1, 0),
    Obis(1, 0, 0, 0, 9),  # server id
    Obis(1, 0, 0, 0, 0),  # device address, on most meters the number on the plate
    Obis(0, 0, 42, 0, 0),  # logical device name
)


def serial_number(texts: dict[Obis, str]) -> str:
    """The serial number among texts told under codes, "" when there is none."""
    texts = {**{code._replace(e=0): t for code, t in texts.items() if code.e == UNSAID}, **texts}
    return next((text for code in SERIALS if (text := plain_serial(texts.get(code, "")))), "")


def plain_serial(text: str) -> str:
    """A text of a wire as a serial number: printable ASCII without spaces around, 64 at most."""
    return "".join(c for c in text if " " <= c <= "~").strip()[:64]
