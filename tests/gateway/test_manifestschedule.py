"""Manifests over the lives of the daemon: what was sealed is kept, and signed."""

import base64
import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from edge.core import ConfigError, Record, RecordKey, Stamp, Stream, TimeQuality
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.manifestsigner import make_signer
from edge.outbox import Epoch, PreviousStart, StoredRecord
from edge.uplink.timestamps import VERSION as MOMENTS_VERSION
from edge.uplink.timestamps import UsedMoments
from edge.wire import signed_bytes
from edge.wire.clockmoments import Moment
from edge.wire.keptstate import pack_state
from tests.kit.asread import as_read
from tests.kit.certificates import gateway_certificate

EPOCH = Epoch(9, 2, True, PreviousStart(8, 2, {"air": 5}), False)
S = 1_000_000_000
NTP = Moment(2, 5, 1_790_000_000_000_000, TimeQuality.NTP)
STEPPED = NTP._replace(wall_us=1_780_000_000_000_000)


def at(seconds: float) -> Stamp:
    return Stamp(int(seconds * S), 0, TimeQuality.NONE)


def stored(seq: int, epoch: int = 9) -> StoredRecord:
    return StoredRecord(
        seq, Record(RecordKey(epoch, Stream.AIR, seq), "hut", 2, seq * S, (seq + 1) * S, {})
    )


def made(sign: Any = None, every_s: float = 900) -> ManifestSchedule:
    return ManifestSchedule(every_s, sign, at(0))


def test_a_segment_is_sealed_when_its_time_has_come() -> None:
    sealing = made()
    sealing.begin(EPOCH, None, [], UsedMoments(), at(0))
    sealing.manifests.handed(stored(1).record, NTP)
    assert sealing.due(at(899), last=False) == []
    (draft,) = sealing.due(at(900), last=False)
    assert as_read(draft)["count"] == 1
    sealing.manifests.handed(stored(2).record, NTP)
    assert sealing.due(at(1799), last=False) == []
    assert len(sealing.due(at(1750), last=True)) == 1, "a clean stop seals what is open"


def test_the_first_commit_names_the_former_epoch_and_the_next_do_not() -> None:
    sealing = made()
    (opening,) = sealing.begin(EPOCH, None, [], UsedMoments(), at(0))
    assert as_read(opening)["former"] == {"epoch": 8, "last": {"air": 5}}
    sealing.manifests.handed(stored(1).record, NTP)
    (draft,) = sealing.due(at(900), last=False)
    assert "former" not in as_read(draft)


def test_what_was_handed_over_before_a_kill_and_confirmed_is_sealed_at_the_start() -> None:
    before = made()
    before.begin(EPOCH, None, [], UsedMoments(), at(0))
    before.manifests.handed(stored(1, 8).record, NTP)
    state = before.manifests.riding(())[0]["manifest"]
    after = made()
    used = UsedMoments(
        pack_state(MOMENTS_VERSION, UsedMoments().snapshot([NTP, STEPPED, NTP._replace(boot=3)]))
    )
    after.begin(EPOCH, state, [stored(1, 8), stored(2, 8)], used, at(0))
    (draft,) = after.due(at(900), last=False)
    assert (as_read(draft)["epoch_of"], as_read(draft)["seqs"]) == (8, [[1, 2, 1]])
    assert as_read(draft)["clock"] == [list(NTP), list(STEPPED)], "by which of them nobody knows"


def test_nothing_is_written_when_nothing_has_gone_out() -> None:
    sealing = made()
    sealing.begin(EPOCH, None, [], UsedMoments(), at(0))
    assert sealing.manifests.riding(())[0] == {}
    sealing.manifests.handed(stored(1).record, NTP)
    states, kept = sealing.manifests.riding(())
    assert states.keys() == {"manifest"}
    assert sealing.manifests.riding(())[0] == states, "a commit that fails keeps nothing"
    sealing.manifests.handed(stored(2).record, NTP)
    kept()
    assert sealing.manifests.changed, "by what has gone out since"
    states, kept = sealing.manifests.riding(())
    kept()
    assert sealing.manifests.riding(())[0] == {}


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x93\x01\x02\x03"])
def test_a_state_that_cannot_be_read_is_no_reason_to_stop(data: bytes) -> None:
    sealing = made()
    sealing.begin(EPOCH, (2, data), [], UsedMoments(), at(0))
    sealing.manifests.handed(stored(1).record, NTP)
    assert len(sealing.due(at(900), last=False)) == 1


def _certificate(private: Any, folder: Path) -> tuple[Path, Path]:
    now = datetime.now(UTC)
    built = gateway_certificate(private, "gw-1", now, now + timedelta(days=1))
    key, cert = folder / "key.pem", folder / "cert.pem"
    pem = serialization.Encoding.PEM
    key.write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    cert.write_bytes(built.public_bytes(pem))
    return key, cert


def _verify(public: Any, alg: str, signature: bytes, data: bytes) -> None:
    """Raises InvalidSignature."""
    match alg:
        case "ed25519":
            public.verify(signature, data)
        case "ecdsa-sha256":
            public.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        case "rsa-pss-sha256":
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            public.verify(signature, data, pss, hashes.SHA256())


@pytest.mark.parametrize(
    ("private", "alg"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa-sha256"),
        (rsa.generate_private_key(65537, 2048), "rsa-pss-sha256"),
    ],
)
def test_a_manifest_is_signed_with_the_devices_key(private: Any, alg: str, tmp_path: Path) -> None:
    key, cert = _certificate(private, tmp_path)
    sealing = made(make_signer(key, cert))
    sealing.begin(EPOCH, None, [], UsedMoments(), at(0))
    sealing.manifests.handed(stored(1).record, NTP)
    (draft,) = sealing.due(at(900), last=False)
    body = as_read(draft)
    assert body["alg"] == alg
    der = ssl.PEM_cert_to_DER_cert(cert.read_text())
    assert body["cert_sha256"] == hashlib.sha256(der).hexdigest()
    _verify(private.public_key(), alg, base64.b64decode(body["sig"]), signed_bytes(body))


def test_without_a_key_nothing_is_signed_and_a_wrong_one_says_where(tmp_path: Path) -> None:
    assert make_signer(None, None) is None
    wrong = tmp_path / "key.pem"
    wrong.write_text("no key")
    with pytest.raises(ConfigError, match=r"key\.pem"):
        make_signer(wrong, wrong)
