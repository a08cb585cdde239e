"""SML frames made to measure, with the builder of the simulator."""

from drivers.sim.sml import NOTHING, WH, framed, listed, message, octets, signed, unsigned

ENERGY, POWER, SERVER = "0100010800ff", "0100100700ff", bytes.fromhex("0a014b535400003039ab")


def entry(code: str, value: bytes, unit: bytes = unsigned(WH, 1), scaler: bytes = NOTHING) -> bytes:
    return listed(octets(bytes.fromhex(code)), NOTHING, NOTHING, unit, scaler, value, NOTHING)


def answer(*entries: bytes, kermit: bool = False, server: bytes = SERVER) -> bytes:
    """The message that tells these values."""
    body = listed(NOTHING, octets(server), NOTHING, NOTHING, listed(*entries), NOTHING, NOTHING)
    return message(7, 0x0701, body, kermit)


GOOD = framed(answer(entry(ENERGY, unsigned(12345, 4), scaler=signed(-1, 1))))
