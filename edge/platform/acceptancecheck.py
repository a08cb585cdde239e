"""Whether an acceptance sheet is whole, whose it is, and whether it is the one that was told of.

The city has the event `acceptance` with the sheet's digest and signature. The sheet itself is a
file that a technician brings (`kerbstone commission export`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.platform.signatures import CertificateKeys
from edge.wire.acceptancebytes import sheet_digest, signed_sheet_bytes

FILE_LIMIT: Final = 8 << 20
KIND: Final = "acceptance"


@dataclass(frozen=True, slots=True)
class CheckedSheet:
    """`faults`: why it is not to be believed. `signed_by`: the certificate whose key has signed it,
    "" if nobody looked."""

    sheet: Mapping[str, Any]
    sha256: str
    faults: tuple[str, ...]
    signed_by: str
    notes: tuple[str, ...] = ()


def check_sheet(
    data: bytes, keys: CertificateKeys | None = None, told_sha256: str | None = None
) -> CheckedSheet:
    """Of a file. `told_sha256` is what the event said. Raises ValueError for what is no sheet."""
    try:
        file = json.loads(data)
        sheet = file.get("sheet") if isinstance(file, dict) else None
        if not isinstance(sheet, dict) or sheet.get("kind") != KIND:
            raise ValueError("this is no acceptance sheet")
        digest = sheet_digest(sheet)
    except RecursionError as error:
        raise ValueError("this is no acceptance sheet") from error
    faults: list[str] = []
    notes: list[str] = []
    signed_by = ""
    if file.get("sha256") != digest:
        faults.append("its digest is not that of its contents: it was changed")
    if told_sha256 is not None and told_sha256.lower() != digest:
        faults.append("it is not the sheet that the gateway told of")
    signature = file.get("signature")
    if not isinstance(signature, dict):
        # whoever changes a sheet leaves its signature out: then the event has to prove it
        unproven = faults if keys is not None and told_sha256 is None else notes
        unproven.append("it is not signed: compare its digest with the event of the gateway")
    elif keys is None:
        notes.append("its signature was not checked: give --keys")
    else:
        why = keys.signature_refusal(
            str(sheet.get("gateway")), signature, signed_sheet_bytes(sheet)
        )
        if why is None:
            signed_by = str(signature.get("cert_sha256"))
        else:
            faults.append(why)
    return CheckedSheet(sheet, digest, tuple(faults), signed_by, tuple(notes))
