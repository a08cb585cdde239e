"""A signed acceptance sheet as a file, and as the event that the city gets of it."""

import json
from collections.abc import Mapping
from typing import Any, cast

from msgspec import UNSET

from edge.commission.sheet import open_steps
from edge.core import Draft, Stream
from edge.gateway.manifestsigner import SignBytes
from edge.wire.acceptancebytes import sheet_bytes, sheet_digest, signed_sheet_bytes
from edge.wire.contract.acceptance import VerdictWord
from edge.wire.contract.boxevent import Acceptance


def sheet_file(sheet: Mapping[str, Any], sign: SignBytes | None) -> dict[str, Any]:
    """The sheet, its digest, and a signature if this box has a key.

    Numbers stand in it as they stand in the bytes of the digest: who checks it needs no rule of
    ours.
    """
    file: dict[str, Any] = {
        "sheet": json.loads(sheet_bytes(sheet)), "sha256": sheet_digest(sheet),
    }  # fmt: skip
    if sign is not None:
        signature = sign(signed_sheet_bytes(sheet))
        file["signature"] = {
            "alg": signature.alg,
            "cert_sha256": signature.cert_sha256,
            "sig": signature.sig,
        }
    return file


def acceptance_event(file: Mapping[str, Any], now_ns: int) -> Draft:
    """What the city hears: the verdict and the proof, and not the sheet."""
    sheet, signature = file["sheet"], file.get("signature") or {}
    words = "accepted" if sheet["state"] == "accepted" else "accepted with reservations"
    body = Acceptance(
        state=sheet["state"],
        by=sheet["by"],
        number=sheet["number"],
        sheet_sha256=file["sha256"],
        configuration_sha256=sheet["configuration_sha256"],
        counts=cast("dict[VerdictWord, int]", sheet["counts"]),
        open=cast("dict[str, VerdictWord]", open_steps(sheet)),
        text=f"{sheet['by']} has signed the acceptance sheet {sheet['number']}: {words}",
        alg=signature.get("alg", UNSET),
        cert_sha256=signature.get("cert_sha256", UNSET),
        sig=signature.get("sig", UNSET),
    )
    return Draft(Stream.EVENT, "gateway", now_ns, now_ns, body)
