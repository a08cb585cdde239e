"""The daemon's word on its certificate, against a real broker: let in, then revoked."""

import hashlib
import ssl
from pathlib import Path

from edge.gateway.uplinksetup import MARKER_NAME, make_certificate_marker
from edge.identity.renew import MARKER
from tests.kit.citybroker import running
from tests.kit.uplink import box
from tests.kit.waiting import until


async def test_it_says_whether_the_broker_takes_the_certificate(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    marker = run / MARKER_NAME
    assert marker.name == MARKER.name
    with running(tmp_path / "city") as city:
        pair = city.gateway("gw-0001")
        der = ssl.PEM_cert_to_DER_cert(pair[0].read_text())
        name = hashlib.sha256(der).hexdigest()
        place = city.gateways
        make_certificate_marker(pair[0], run)
        assert marker.read_text() == f"uses {name}\n"
        async with box(
            tmp_path, place.broker(pair, "x"), known=make_certificate_marker(pair[0], run)
        ) as gateway:
            gateway.connect()
            await until(lambda: marker.read_text() == f"connected {name}\n")
            assert marker.stat().st_mode & 0o777 == 0o640, "for root without capabilities, by group"
            await gateway.disconnect()
        city.revoke("gw-0001")
        async with box(
            tmp_path, place.broker(pair, "x"), known=make_certificate_marker(pair[0], run)
        ) as gateway:
            gateway.connect()
            await until(lambda: marker.read_text() == f"refused {name}\n")
            assert "refuses our certificate" in gateway.sender.connection.failure


def test_without_a_certificate_nothing_is_said(tmp_path: Path) -> None:
    make_certificate_marker(None, tmp_path)(True)
    make_certificate_marker(tmp_path / "none.pem", tmp_path)(True)
    assert list(tmp_path.iterdir()) == []
