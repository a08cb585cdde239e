"""The application layer of DLMS/COSEM: associations and GET, through dlms-cosem, and plain data.

Source: IEC 62056-53 and -62 (DLMS UA Green Book and Blue Book); PyPI dlms-cosem 25.1.0.

That library is under the Business Source License 1.1: whoever has such a meter installs it by
hand, and nothing that we give away has it. It is imported by who needs it only. Three things it is
not asked for, each for a reason: its connections log every frame on standard output, through
structlog; its parser of data never ends on an array that says it has 2**32 items, and takes torn
numbers for whole ones; it prints what it does not like in the user information of an AARE, which
says nothing needed here.
"""

import struct
from collections.abc import Callable
from decimal import Decimal
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from math import isfinite
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from drivers.chips._obis import Obis
from edge.core import ConfigError, DataError, Reason

MISSING: Final = (
    "DLMS needs the package dlms-cosem, which is no part of Kerbstone: version 25.1 is under the"
    " Business Source License 1.1, which is no open-source licence. If its terms allow your use:"
    " pip install 'dlms-cosem>=25.1'"
)
ASK, RESPONSE = b"\xe6\xe6\x00", b"\xe6\xe7\x00"  # LLC: a command, a response
AARE, GET, GOT, USER_INFORMATION = 0x61, 0xC0, 0xC4, 0xBE
REFUSED, EXCEPTION = 0x0E, 0xD8  # confirmed service error, exception response
NORMAL, BLOCK = 1, 2
PDU: Final = 0xFFFF
REGISTER, DATA = 3, 1  # interface classes
VALUE, SCALER_UNIT = 2, 3  # attributes


class Attribute(NamedTuple):
    """What a GET asks for."""

    kind: int
    obis: Obis
    number: int = VALUE


class GetResponse(NamedTuple):
    """What a GET brought. `block` 0: all at once; else its number, from 1 on."""

    data: bytes
    block: int = 0
    more: bool = False


def require_library() -> None:
    """Raises ConfigError where the library is not installed. Imports nothing."""
    if find_spec("dlms_cosem") is None:
        raise ConfigError(MISSING)


@cache
def _library() -> Any:
    """What is needed of it: some 15 MB and a tenth of a second on a PC."""
    try:
        parts = {
            name: import_module(f"dlms_cosem.{path}")
            for name, path in {
                "acse": "protocol.acse", "xdlms": "protocol.xdlms", "cosem": "cosem",
                "enums": "enumerations",
            }.items()
        }  # fmt: skip
    except ImportError as error:
        raise ConfigError(MISSING) from error
    return SimpleNamespace(**parts)


def _parsed(parse: Callable[[bytes], Any], apdu: bytes) -> Any:
    """What the library makes of it. Raises DataError."""
    try:
        return parse(apdu)
    except Exception as error:  # what it raises at damaged bytes has no limits
        text = f"{apdu[:64].hex()} is not understood: {error!r}"
        raise DataError(text[:300], Reason.FAULT) from error


# --- what is asked ----------------------------------------------------------------------------


@lru_cache(4)
def association(password: str) -> bytes:
    """AARQ: logical names, nothing ciphered; with low-level security when there is a password."""
    lib = _library()
    wanted = lib.xdlms.Conformance(get=True, block_transfer_with_get_or_read=True)
    request = lib.xdlms.InitiateRequest(
        proposed_conformance=wanted, client_max_receive_pdu_size=PDU
    )
    mechanism = lib.enums.AuthenticationMechanism.LLS if password else None
    apdu: bytes = lib.acse.ApplicationAssociationRequest(
        user_information=lib.acse.UserInformation(content=request),
        authentication=mechanism,
        authentication_value=password.encode() or None,
    ).to_bytes()
    return apdu


@lru_cache(128)  # the same few are asked for again and again
def get(asked: Attribute) -> bytes:
    """A GET of one attribute."""
    lib = _library()
    attribute = lib.cosem.CosemAttribute(
        interface=lib.enums.CosemInterface(asked.kind),
        instance=lib.cosem.Obis(*asked.obis),
        attribute=asked.number,
    )
    apdu: bytes = lib.xdlms.GetRequestNormal(cosem_attribute=attribute).to_bytes()
    return apdu


def get_next(block: int) -> bytes:
    """A GET of the block after this one."""
    apdu: bytes = _library().xdlms.GetRequestNext(block_number=block).to_bytes()
    return apdu


def parse_get(apdu: bytes) -> Attribute | None:
    """What a request asks for, if it is a GET of one attribute."""
    if len(apdu) < 13 or apdu[0] != GET or apdu[1] != NORMAL:
        return None
    return Attribute(int.from_bytes(apdu[3:5]), Obis(*apdu[5:11]), apdu[11])


# --- what is answered -------------------------------------------------------------------------


def check_aare(apdu: bytes) -> None:
    """Raises DataError unless this AARE is one of a meter that takes us in."""
    if apdu[:1] != bytes((AARE,)):
        raise _exception(apdu)
    aare = _parsed(
        _library().acse.ApplicationAssociationResponse.from_bytes, _without_user_information(apdu)
    )
    if aare.result:
        why = getattr(aare.result_source_diagnostics, "name", "UNKNOWN").lower().replace("_", " ")
        raise DataError(
            f"the meter refuses the association ({why}): are `client` and `password` right, and"
            " may this client read without encryption?",
            Reason.FAULT,
        )


def _without_user_information(aare: bytes) -> bytes:
    """Without its user information."""
    parts, at = b"", 2
    while at + 1 < len(aare):
        size = 2 + aare[at + 1]
        parts += aare[at : at + size] if aare[at] != USER_INFORMATION else b""
        at += size
    return bytes((AARE, len(parts) & 0xFF)) + parts


def parse_response(apdu: bytes) -> GetResponse:
    """The answer to a GET. Raises DataError for a refusal and for anything else."""
    if apdu[:1] != bytes((GOT,)) or apdu[1:2] not in (b"\x01", b"\x02"):
        raise _exception(apdu)
    response = _parsed(_library().xdlms.GetResponseFactory.from_bytes, apdu)
    if response is None or response.invoke_id_and_priority.invoke_id != 1:
        raise DataError(f"this answers another question: {apdu[:64].hex()}")
    if hasattr(response, "error"):
        raise _refusal(int(response.error))
    more = type(response).__name__ == "GetResponseWithBlock"
    return GetResponse(response.data, getattr(response, "block_number", 0), more)


def _refusal(code: int) -> DataError:
    match code:
        case 3 | 4 | 9 | 11 | 13:  # denied, undefined, of another class, unavailable, out of scope
            return DataError("the meter has no such object for us", Reason.ADDRESS)
        case 2:
            return DataError("the meter cannot answer now", Reason.BUSY)
    return DataError(f"the meter refuses with error {code}", Reason.FAULT)


def _exception(apdu: bytes) -> DataError:
    if apdu[:1] in (bytes((EXCEPTION,)), bytes((REFUSED,))):
        return DataError(f"the meter answers with an error: {apdu[:16].hex()}", Reason.FAULT)
    return DataError(f"no answer of a meter: {apdu[:64].hex() or 'nothing'}")


# --- data -------------------------------------------------------------------------------------

NUMBERS: Final = {
    3: ">?", 5: ">i", 6: ">I", 15: ">b", 16: ">h", 17: ">B", 18: ">H", 20: ">q", 21: ">Q",
    22: ">B", 23: ">f", 24: ">d",
}  # fmt: skip
OCTETS, VISIBLE, UTF8, STRUCTURE = 9, 10, 12, 2


def number(data: bytes) -> Decimal | None:
    """One number; None for null and for what is not finite. Raises DataError for anything else."""
    if data == b"\x00":
        return None
    form = NUMBERS.get(data[0]) if data else None
    if form is None or len(data) != 1 + struct.calcsize(form):
        raise DataError(f"no number: {data[:64].hex() or 'nothing'}", Reason.RANGE)
    (value,) = struct.unpack(form, data[1:])
    return Decimal(value) if isfinite(value) else None


def scaler_unit(data: bytes) -> tuple[int, int]:
    """The exponent of ten and the unit of a register. Raises DataError."""
    shape = len(data) == 6 and data[:3] == b"\x02\x02\x0f" and data[4] == 22
    if not shape:
        raise DataError(f"no scaler and unit: {data[:64].hex() or 'nothing'}", Reason.RANGE)
    return struct.unpack(">b", data[3:4])[0], data[5]


def text(data: bytes) -> str:
    """A text, octets that are none in hex, or a number. Raises DataError for anything else."""
    if data[:1] and data[0] in (OCTETS, VISIBLE, UTF8):
        if len(data) < 2 or data[1] != len(data) - 2 or data[1] > 0x7F:
            raise DataError(f"no text: {data[:64].hex()}", Reason.RANGE)
        raw = data[2:].strip(b"\0 ")
        readable = all(32 <= byte < 127 for byte in raw)
        return raw.decode("ascii") if readable else raw.hex().upper()
    value = number(data)
    return "" if value is None else f"{value:f}"
