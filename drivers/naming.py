"""What a sound frame is that holds no values: a request, a command, an acknowledgement, a refusal.

Source: the drivers'. Further functions, control codes and errors: Modbus application protocol
V1.1b3; EN 13757-2 and -3 (control and CI field, general application errors); DL/T 645-2007
(control codes); IEC 62056-21 (messages); IEC 62056-46 (control field).
"""

from collections.abc import Callable
from importlib import import_module
from typing import Final

from drivers.buses.modbus.frame import EXCEPTIONS, FUNCTIONS
from drivers.chips import _dlt645, _hdlc, _iec62056, _mbus_link, dsmr, mbus
from drivers.chips._telegram import ACK, SOH, STX, check_parity
from edge.core import DataError, Reason, crc16_modbus

REGISTERS: Final = {3: "holding", 4: "input"}
MODBUS: Final = {
    1: "read coils", 2: "read discrete inputs", 5: "write one coil", 6: "write one register",
    7: "read the exception status", 8: "diagnostics", 15: "write coils", 16: "write registers",
    17: "who are you", 22: "mask a register", 23: "read and write registers",
    43: "read the identification",
}  # fmt: skip
MBUS_CI: Final = {
    0x50: "a reset of the application", 0x51: "data that are sent", 0x52: "a selection",
    0xB8: "a change to 300 baud", 0xBB: "a change to 2400 baud", 0xBD: "a change to 9600 baud",
}  # fmt: skip
MBUS_ERRORS: Final = {
    0: "it does not say which", 1: "it does not know this CI field", 2: "too long for its buffer",
    3: "too many records", 4: "a record ended too early", 5: "more than 10 DIFE",
    6: "more than 10 VIFE", 8: "it is busy", 9: "read out too often",
}  # fmt: skip
DLT645: Final = {
    0x08: "the time, for all", 0x11: "a request to read", 0x12: "a request for the next frame",
    0x13: "a request for the address", 0x14: "a command to write", 0x15: "a command to set the"
    " address", 0x16: "a command to freeze", 0x17: "a command to change the baud rate",
    0x18: "a command to change the password", 0x19: "a command to clear the maximum demand",
    0x1A: "a command to clear the meter", 0x1B: "a command to clear events",
    0x1C: "a command to the relay",
}  # fmt: skip
HDLC: Final = {
    _hdlc.SNRM: "a call (SNRM)", _hdlc.DISC: "an end (DISC)", _hdlc.UA: "a consent (UA)",
    _hdlc.DM: "a refusal: no connection (DM)", _hdlc.FRMR: "a refusal of a frame (FRMR)",
}  # fmt: skip
NAK: Final = b"\x15"
TCP_LEAST: Final = 9  # bytes; what is shorter may be a damaged request for two registers from 0


def named(driver: str, frame: bytes, register_map: bool) -> str:
    """What this frame is; "" when it is damaged, or none of this device's."""
    find = _of_modbus if register_map else PROTOCOLS.get(driver)
    try:
        return find(frame) if find is not None else _other_frame(driver, frame)
    except DataError:
        return ""


def _other_frame(driver: str, frame: bytes) -> str:
    """The drivers pass over sound frames without values, and find none then."""
    try:
        import_module(f"drivers.chips.{driver}").explain([frame])
    except DataError as error:
        silent = error.reason is Reason.SILENT and frame
        return "an intact frame without values" if silent else ""
    return "a frame with values"


def _of_modbus(frame: bytes) -> str:
    if len(frame) >= 4 and crc16_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
        body = frame[:-2]
    elif len(frame) >= TCP_LEAST and frame[2:6] == (len(frame) - 6).to_bytes(4):
        body = frame[6:]
    else:
        return ""
    unit, function = body[0], body[1]
    if function & 0x80:
        if len(body) != 3:
            return ""
        why = EXCEPTIONS.get(body[2], "for no known reason")
        return f"unit {unit} refuses function {function & 0x7F}: {why} (exception {body[2]})"
    if function not in FUNCTIONS:
        word = MODBUS.get(function, "which is not known here")
        return f"function {function} ({word}), to unit {unit} or from it"
    if len(body) > 4 and body[2] == len(body) - 3 and not body[2] & 1:
        return f"an answer of unit {unit}: {body[2] // 2} {REGISTERS[function]} registers"
    if len(body) != 6:
        return ""
    first, count = int.from_bytes(body[2:4]), int.from_bytes(body[4:6])
    return f"a request to unit {unit} for {count} {REGISTERS[function]} registers from {first:#06x}"


def _of_mbus(frame: bytes) -> str:
    if frame == _mbus_link.ACK:
        return "an acknowledgement (E5)"
    if _mbus_link.is_request(frame):
        kind, to = frame[1] & ~0x30, f"to address {frame[2]}"
        match kind:
            case _mbus_link.SND_NKE:
                return f"a reset (SND_NKE) {to}"
            case 0x4B:
                return f"a request for data (REQ_UD2) {to}"
            case 0x4A:
                return f"a request for alarms (REQ_UD1) {to}"
        return f"a short frame with control field {frame[1]:02x} {to}"
    control, address, ci, data = _mbus_link.parse_long(frame)
    if control & _mbus_link.KIND != _mbus_link.RSP_UD:
        what = MBUS_CI.get(ci, f"CI field {ci:02x}")
        whom = f" of the meter {data[3::-1].hex().upper()}" if ci == 0x52 and len(data) >= 4 else ""
        return f"{what}{whom}, to address {address} (SND_UD)"
    if ci == mbus.ERROR:
        code = data[0] if data else 0
        why = MBUS_ERRORS.get(code, "which is not known here")
        return f"the meter at address {address} answers with error {code}: {why}"
    if ci == mbus.VARIABLE and len(data) >= mbus.HEADER:
        return f"a telegram of the meter {data[3::-1].hex().upper()}"
    return f"an answer of the meter at address {address}, of the form {ci:02x}"


def _of_dlt645(frame: bytes) -> str:
    parsed = _dlt645.parse_frame(frame)
    code = parsed.control & 0x1F
    name = f" {int.from_bytes(parsed.data[:4], 'little'):08x}" if len(parsed.data) >= 4 else ""
    if not parsed.control & _dlt645.ANSWER:
        what = DLT645.get(code, f"a command {code:02x}")
        whom = "any meter" if parsed.address == _dlt645.WILDCARD else f"meter {parsed.address}"
        return f"{what}{name if code in (_dlt645.READ, _dlt645.MORE) else ''}, to {whom}"
    if parsed.control & _dlt645.REFUSED:
        return str(_dlt645.refusal_error(parsed))
    return f"an answer of meter {parsed.address}{name}"


def _of_iec62056(frame: bytes) -> str:
    text = check_parity(frame)
    if text[:1] == STX:
        _iec62056.readout(frame)
        return "a readout"
    if text[:1] == SOH:
        return f"a command: {_iec62056.command(frame).decode('ascii', 'replace')!r}"
    if text == NAK:
        return "a refusal (NAK): send it again"
    if text in (ACK, *(_iec62056.acknowledge(baud) for baud in _iec62056.BAUDS)):
        kind = text[2:3].decode("ascii")
        return f"an acknowledgement: go on at {_iec62056.BAUDS[int(kind)]} baud" if kind else (
            "an acknowledgement")  # fmt: skip
    if text[:2] == b"/?" and text.endswith(b"!\r\n"):
        whom = text[2:-3].decode("ascii", "replace")
        return f"a call to the meter {whom}" if whom else "a call to any meter"
    ident = _iec62056.ident(frame)
    return f"an identification: {ident.maker} {ident.text}, which offers {ident.baud} baud"


def _of_hdlc(frame: bytes) -> str:
    found = _hdlc.decode(frame)
    if found.numbered:
        return f"words of DLMS, {len(found.information)} bytes"
    if found.ready:
        return "a receipt (RR)"
    return HDLC.get(found.control | _hdlc.FINAL, f"a frame with control field {found.control:02x}")


def _of_p1(frame: bytes) -> str:
    notes = dsmr.mbus_samples(dsmr.parse_telegram(frame), {})[1]
    return "a telegram of a P1 port" + "".join(f"; {text}" for text in notes)


PROTOCOLS: Final[dict[str, Callable[[bytes], str]]] = {
    "sunspec": _of_modbus, "mbus": _of_mbus, "dlt645": _of_dlt645, "iec62056": _of_iec62056,
    "dlms": _of_hdlc, "dsmr": _of_p1,
}  # fmt: skip
