"""Telegrams of a P1 port, and what they tell."""

from drivers.chips.dsmr import explain
from drivers.sim.dsmr import crc16
from edge.core import Bad, Reason, Sample

ADDRESS, RANGE, STALE = Bad(Reason.ADDRESS), Bad(Reason.RANGE), Bad(Reason.STALE)
CONTRADICTED = Bad(Reason.CONTRADICTED)
GAS = "0-1:24.1.0(003)"


def telegram(*lines: str, crc: bool = True) -> bytes:
    text = b"/KST5\\2X\r\n\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"!"
    return text + (b"%04X\r\n" % crc16(text) if crc else b"\r\n")


def one(*lines: str) -> dict[str, Sample]:
    return {key: s for key, s in explain([telegram(*lines)]).items() if s != ADDRESS}
