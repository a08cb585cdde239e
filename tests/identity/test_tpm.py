"""A key that is made in a TPM and never leaves it: enrolment, renewal, and the broker (swtpm)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.identity import keys
from edge.identity.main import NO_CLAIM
from edge.identity.statefolder import StateFolder
from tests.identity import traced_process
from tests.identity.card import copied, everything, wrong
from tests.identity.real_server import ApprovingServer, claim_of
from tests.identity.tpm import Tpm, missing
from tests.kit.broker import Mosquitto, Subscriber, free_port
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.scene, pytest.mark.skipif(bool(missing()), reason=missing())]
NOW = datetime.now(UTC).replace(microsecond=0)  # a broker's clock is the true one
LIFE = timedelta(days=61)
# the daemon's own context, and paho on it
CONNECT = """
import sys
from pathlib import Path
import paho.mqtt.client as paho
from edge.uplink.broker import make_broker
url, folder, ca = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
broker = make_broker(url, "gw-0001", ca=ca, cert=folder / "cert.pem", key=folder / "key.pem")
client = paho.Client(paho.CallbackAPIVersion.VERSION2, "gw-0001", protocol=paho.MQTTv5)
client.tls_set_context(broker.tls)
client.connect(broker.host, broker.port)
client.loop_start()
message = client.publish("from/gw-0001", sys.argv[4], qos=1)
message.wait_for_publish(20)
client.disconnect()
client.loop_stop()
sys.exit(0 if message.is_published() else 1)
"""
DAEMON = """
[site]
id = "s17"
gateway = "gw-0001"
period_s = 1
[store]
dir = "{dir}/store"
run_dir = "{dir}/run"
limit_mb = 16
[uplink]
url = "{url}"
confirm = "broker"
encoding = "json"
"""


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    if not Path(traced_process.STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")
    made = ApprovingServer(tmp_path, start=NOW - LIFE)
    made.start()
    yield made
    made.close()


@pytest.fixture
def tpms(tmp_path: Path) -> Iterator[Callable[[str], Tpm]]:
    made: list[Tpm] = []

    def make(name: str) -> Tpm:
        made.append(Tpm(tmp_path / name))
        return made[-1]

    yield make
    for each in made:
        each.close()


def pem(root: Path) -> bytes:
    return (root / "state/current/key.pem").read_bytes()


def doors(town: ApprovingServer, inner: int) -> str:
    """Mutual TLS 1.3 with the city's authority; and another listener, for who looks on."""
    home = town.home
    return (
        f"cafile {home.ca}\ncertfile {home.server}\nkeyfile {home.server_key}\n"
        "tls_version tlsv1.3\nrequire_certificate true\nuse_identity_as_username true\n"
        f"listener {inner} 127.0.0.1\nallow_anonymous true\n"
    )


def connected(url: str, folder: Path, ca: Path, tpm: Tpm, text: str) -> str:
    """ "" when the broker has taken the message, else what went wrong."""
    done = subprocess.run(
        [sys.executable, "-c", CONNECT, url, str(folder), str(ca), text],
        cwd=traced_process.ROOT, env={"PATH": "", **tpm.env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


@contextmanager
def daemon(folder: Path, url: str, identity: Path, tpm: Tpm) -> Iterator[None]:
    """`kerbstone run`, with what systemd would hand over to it."""
    folder.mkdir()
    config = folder / "site.toml"
    config.write_text(DAEMON.format(dir=folder, url=url))
    env = {**os.environ, **tpm.env, "CREDENTIALS_DIRECTORY": str(identity)}
    with (folder / "log").open("w") as log, subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", "run", "-v", str(config)],
        cwd=traced_process.ROOT, env=env, stdout=log, stderr=log,
    ) as process:  # fmt: skip
        try:
            yield
        except BaseException:
            process.kill()
            print((folder / "log").read_text())
            raise
        process.terminate()
        assert process.wait(60) == 0, (folder / "log").read_text()


def test_a_key_in_a_tpm_enrols_renews_and_connects(
    tmp_path: Path,
    town: ApprovingServer,
    tpms: Callable[[str], Tpm],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tpm, root = tpms("tpm"), town.card(tmp_path / "box", "gw-0001")
    for name, value in tpm.env.items():
        monkeypatch.setenv(name, value)  # these tests look at the key, too
    code = claim_of(root).code
    done = traced_process.awake(root, "run", env=tpm.env)
    assert done.code == 0, done
    assert wrong(root, code) == []
    first = pem(root)
    assert first.startswith(keys.TPM_HEADER)
    assert "in the TPM of this box" in (root / "boot/kerbstone-status.txt").read_text()
    town.now = NOW
    done = traced_process.awake(root, "renew", env=tpm.env)
    assert done.said.endswith("renewed\n"), done
    assert pem(root).startswith(keys.TPM_HEADER)
    assert pem(root) != first
    assert b"BEGIN PRIVATE KEY" not in everything(root)

    broker = Mosquitto(tmp_path / "broker", doors(town, inner := free_port())).start()
    try:
        broker.port, outer = inner, broker.port  # who looks on comes in by the other door
        listener = Subscriber(broker, "#")
        url = f"mqtts://localhost:{outer}"
        for text, number in (("the new one", 2), ("the one before", 1)):
            folder = root / f"state/bundle-{number}"
            assert connected(url, folder, town.home.ca, tpm, text) == ""
        with daemon(tmp_path / "daemon", url, root / "state/current", tpm):
            wait_until(lambda: broker.log.count("PUBLISH from gw-0001") > 4)
        lines = listener.stop(3)
        assert lines[:2] == ["from/gw-0001 the new one", "from/gw-0001 the one before"]
        assert any("/s17/gw-0001/" in line for line in lines[2:]), "the daemon itself"
        assert "u'gw-0001'" in broker.log
    finally:
        broker.kill()


def test_a_card_of_one_tpm_is_of_no_use_with_another(
    tmp_path: Path, town: ApprovingServer, tpms: Callable[[str], Tpm]
) -> None:
    own, other = tpms("own"), tpms("other")
    root = town.card(tmp_path / "box", "gw-0001")
    assert traced_process.awake(root, "run", env=own.env).code == 0
    stolen = copied(root, tmp_path / "stolen")
    before = everything(stolen / "state")
    done = traced_process.awake(stolen, "run", env=other.env)
    assert done.code == NO_CLAIM, done
    said = (stolen / "boot/kerbstone-status.txt").read_text()
    assert "another TPM" in said
    assert everything(stolen / "state") == before, "nothing is lost: it may be put back"
    done = traced_process.awake(stolen, "renew", env=other.env)
    assert done.code == 1, done
    assert StateFolder(stolen / "state").numbers() == {1}
    done = traced_process.awake(stolen, "run", env=own.env)
    assert done.code == 0, done


def test_without_its_tpm_a_box_makes_no_key_at_all(
    tmp_path: Path, town: ApprovingServer, tpms: Callable[[str], Tpm]
) -> None:
    late, root = tpms("late"), town.card(tmp_path / "box", "gw-0001")
    late.close()
    done = traced_process.awake(root, "run", env=late.env)
    assert done.code == 3, "systemd starts it again"
    assert "check the TPM" in (root / "boot/kerbstone-status.txt").read_text()
    assert not (root / "state/next.key").exists()
    assert town.log == []
    there = tpms("there")
    assert traced_process.awake(root, "run", env=there.env).code == 0
    assert pem(root).startswith(keys.TPM_HEADER)
