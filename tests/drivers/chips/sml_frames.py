"""SML frames made to measure, with the builder of the simulator."""

from drivers.sim.sml import (
    NOTHING,
    WH,
    encode_frame,
    encode_list,
    encode_message,
    encode_octets,
    signed,
    unsigned,
)

ENERGY, POWER, SERVER = "0100010800ff", "0100100700ff", bytes.fromhex("0a014b535400003039ab")


def entry(code: str, value: bytes, unit: bytes = unsigned(WH, 1), scaler: bytes = NOTHING) -> bytes:
    return encode_list(
        encode_octets(bytes.fromhex(code)), NOTHING, NOTHING, unit, scaler, value, NOTHING
    )


def answer(*entries: bytes, kermit: bool = False, server: bytes = SERVER) -> bytes:
    """The message that tells these values."""
    body = encode_list(
        NOTHING, encode_octets(server), NOTHING, NOTHING, encode_list(*entries), NOTHING, NOTHING
    )
    return encode_message(7, 0x0701, body, kermit)


GOOD = encode_frame(answer(entry(ENERGY, unsigned(12345, 4), scaler=signed(-1, 1))))
