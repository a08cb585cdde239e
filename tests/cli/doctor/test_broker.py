"""`kerbstone doctor` at a broker: what it says of each fault, and that it harms nobody."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.config import Store, load_site
from edge.diagnose import brokersteps
from edge.diagnose.brokerchecks import FAILURE_CHECKS
from edge.diagnose.brokerlogin import BrokerLogin, log_in
from edge.diagnose.brokersteps import RUNNING
from edge.diagnose.loginchecks import login_results
from edge.durable.filelock import FolderLock
from edge.outbox.database import DATABASE_NAME
from edge.uplink.broker import Broker, make_broker
from edge.uplink.connectfailure import REMEDIES
from edge.uplink.mqtt import BrokerRefusedError
from edge.wire import Topics
from edge.wire.contract.down import Answer
from edge.wire.contract.status import Offline
from tests.cli.doctor.cabinet import HEAD
from tests.kit.broker import Make, Mosquitto, Subscriber, free_port
from tests.kit.certificates import CertificateAuthority
from tests.kit.citybroker import running
from tests.kit.command import Command, CommandResult
from tests.kit.gateway import AIR, GatewayProcess
from tests.kit.rawbroker import raw_broker
from tests.kit.waiting import wait_until

BRANCH = "kerbstone/v1/s/g"
WRONG = ("fault", "warning")


def site(folder: Path, url: str, *uplink: str) -> Path:
    file = folder / "site.toml"
    text = HEAD.format(folder).replace("mqtt://127.0.0.1:1", url)
    file.write_text(text.replace("[store]", "\n".join([*uplink, "[store]"])), encoding="utf-8")
    return file


def answers(said: CommandResult, outcomes: tuple[str, ...] = WRONG) -> dict[str, Any]:
    rows = json.loads(said.out)["checks"]
    return {row["id"]: row for row in rows if row["outcome"] in outcomes}


def test_six_faults_of_a_broker_are_found_by_six_checks(
    kerbstone: Command, mosquitto: Make, tmp_path: Path
) -> None:
    ours, theirs = CertificateAuthority(tmp_path), CertificateAuthority(tmp_path, "theirs")

    def secure(cert: Path, key: Path) -> str:
        broker = mosquitto(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
        return f"mqtts://127.0.0.1:{broker.port}"

    users = tmp_path / "users"
    users.write_text("g:$7$101$AAAAAAAAAAAAAAAA$" + "A" * 86 + "==\n")
    users.chmod(0o600)
    acl = tmp_path / "acl"
    acl.write_text(f"topic write {BRANCH}/up/status\n")
    word = tmp_path / "word"
    word.write_text("wrong\n")
    word.chmod(0o600)
    ca = f'ca = "{ours.path}"'
    named = f'username = "g"\npassword_file = "{word}"'
    locked = mosquitto(f"allow_anonymous false\npassword_file {users}\n").url
    faults = {
        "login": (locked, named),
        "tls_authority": (secure(*theirs.issue("foreign", days=(-1, 90))), ca),
        "tls_name": (secure(*ours.issue("other", host="b.example", days=(-1, 90))), ca),
        "tls_dates": (secure(*ours.issue("ended", days=(-3, -1))), ca),
        "tcp": (f"mqtt://127.0.0.1:{free_port()}", ""),
        "right_publish": (mosquitto(f"allow_anonymous true\nacl_file {acl}\n").url, ""),
    }
    found = {}
    for check, (url, uplink) in faults.items():
        said = kerbstone(
            "doctor", "--check", "broker", "--connect", "--json",
            "--config", site(tmp_path, url, uplink),
        )  # fmt: skip
        assert (said.code, said.err) == (1, "")
        wrong = answers(said, ("fault",))
        assert list(wrong) == [check], "no fault looks like another one"
        found[check] = wrong[check]["remedy"]
    assert len(set(found.values())) == len(faults)


def test_every_class_of_failure_is_looked_for_by_a_check() -> None:
    assert set(FAILURE_CHECKS) == set(REMEDIES)


def test_one_fault_of_a_certificate_does_not_hide_another(
    kerbstone: Command, mosquitto: Make, tmp_path: Path
) -> None:
    ours = CertificateAuthority(tmp_path)
    cert, key = ours.issue("both", host="b.example", days=(-3, -1))
    broker = mosquitto(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    file = site(tmp_path, f"mqtts://127.0.0.1:{broker.port}", f'ca = "{ours.path}"')
    said = kerbstone("doctor", "--check", "broker", "--json", "--config", file)
    assert set(answers(said)) == {"tls_name", "tls_dates"}


def test_a_login_leaves_nothing_behind_and_is_no_record(
    kerbstone: Command, mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    city = Subscriber(broker, "kerbstone/v1/#", "-F", "%r %t %p")
    file = site(tmp_path, broker.url)
    said = kerbstone("doctor", "--check", "broker", "--connect", "--config", file)
    assert said.code == 0, said.out
    came = sorted(city.stop(2))
    assert came == [
        f'0 {BRANCH}/up/answer/doctor {{"v":1,"gw":"g","id":"doctor","verb":"doctor","ok":true}}',
        f'0 {BRANCH}/up/status {{"v":1,"gw":"g","state":"offline","why":"stopped"}}',
    ]
    for line, kind in zip(came, (Answer, Offline), strict=True):
        msgspec.json.decode(line.split(" ", 2)[2], type=kind)  # as the contract has it
    wait_until(lambda: "Received DISCONNECT from g" in broker.log)
    assert "c1" in broker.log.partition(" as g (")[2].partition(")")[0], "a clean session"
    late = Subscriber(broker, "kerbstone/v1/#")
    assert late.stop(0) == [], "nothing is retained"


def test_beside_a_gateway_there_is_no_login(
    kerbstone: Command, broker: Mosquitto, gateway: Callable[..., GatewayProcess]
) -> None:
    one = gateway(AIR, period_s=2)
    one.start()

    def looked() -> dict[str, Any]:
        said = kerbstone("doctor", "--check", "broker", "--json", "--config", one.config)
        return answers(said, ("ok",))

    wait_until(lambda: {"link_up", "login", "right_will"} <= set(looked()), "it is not connected")
    assert {"dns", "tcp", "round_trip"} <= set(looked())
    assert broker.log.count(" as gw-1 (") == 1, "it was never thrown off"


def test_a_gateway_that_starts_is_not_thrown_off_either(
    kerbstone: Command, broker: Mosquitto, tmp_path: Path
) -> None:
    """It has its folders, but neither outbox nor socket yet."""
    file = site(tmp_path, broker.url)
    store = Path(load_site(file, {}).store.dir)
    store.mkdir(parents=True, exist_ok=True)
    (store / DATABASE_NAME).touch()
    lock = FolderLock(store)
    assert lock.take()
    said = kerbstone("doctor", "--check", "login", "--json", "--config", file)
    assert RUNNING in answers(said, ("not checked",))["login"]["cause"]
    lock.release()
    said = kerbstone("doctor", "--check", "login", "--json", "--config", file)
    assert "login" in answers(said, ("ok",))


def test_a_gateway_that_is_not_let_in_says_why(
    kerbstone: Command, mosquitto: Make, tmp_path: Path
) -> None:
    """By what it was told: the doctor does not try it himself beside it."""
    users, word = tmp_path / "users", tmp_path / "word"
    users.write_text("gw-1:$7$101$AAAAAAAAAAAAAAAA$" + "A" * 86 + "==\n")
    word.write_text("wrong\n")
    for each in (users, word):
        each.chmod(0o600)
    locked = mosquitto(f"allow_anonymous false\npassword_file {users}\n")
    one = GatewayProcess(tmp_path, locked, AIR)
    named = f'[uplink]\nusername = "gw-1"\npassword_file = "{word}"'
    one.config.write_text(one.config.read_text().replace("[uplink]", named))
    one.start()
    try:

        def looked() -> dict[str, Any]:
            said = kerbstone("doctor", "--check", "broker", "--json", "--config", one.config)
            return answers(said, ("fault",))

        found = wait_until(lambda: looked() if "login" in looked() else {}, "it was let in")
    finally:
        one.close()
    assert set(found) == {"login", "link_up"}
    assert found["login"]["remedy"] == found["link_up"]["remedy"] == REMEDIES["right"]


async def test_a_broker_that_hangs_up_over_a_message_refuses_it() -> None:
    """So does MQTT 3.1.1, which has no other way."""
    async with raw_broker() as broker:

        def hang_up(topic: str, payload: bytes) -> int:
            broker.hang_up()
            return 0

        broker.answer = hang_up
        topics = Topics("kerbstone/v1", "s", "g")
        found = await log_in(make_broker(broker.url, "g"), topics, "g", [topics.commands])
    wrong = [each for each in login_results(found, confirm="broker") if each.is_wrong]
    assert [each.check for each in wrong] == ["right_publish"]
    assert "hung up when kerbstone/v1/s/g/up/answer/doctor was published" in wrong[0].cause


def test_a_copy_of_the_file_of_a_gateway_that_runs_logs_in_nowhere(
    kerbstone: Command, broker: Mosquitto, gateway: Callable[..., GatewayProcess],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one = gateway(AIR, period_s=2)
    one.start()
    wait_until((tmp_path / "run/control.sock").exists)
    copy = tmp_path / "copy.toml"
    text = one.config.read_text().replace(f"{tmp_path}/run", f"{tmp_path}/other")
    copy.write_text(text)
    monkeypatch.setattr("edge.cli.doctor.Store", lambda: Store(run_dir=str(tmp_path / "run")))
    said = kerbstone("doctor", "--check", "login", "--connect", "--json", "--config", copy)
    [row] = json.loads(said.out)["checks"]
    assert (said.code, row["outcome"]) == (3, "not checked")
    assert "would throw it off" in row["cause"]


def test_from_a_desk_it_logs_in_only_when_it_is_told_to(
    kerbstone: Command, mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    file = site(tmp_path, broker.url)
    said = kerbstone("doctor", "--check", "login", "--json", "--config", file)
    [row] = json.loads(said.out)["checks"]
    assert (said.code, row["outcome"]) == (3, "not checked")
    assert "--connect" in row["cause"]
    assert " as g (" not in broker.log
    (tmp_path / "store").mkdir()
    (tmp_path / "store/outbox.db").touch()  # a gateway was here
    assert kerbstone("doctor", "--check", "login", "--config", file).code == 0


def test_a_fallback_that_fails_is_a_warning(
    kerbstone: Command, mosquitto: Make, tmp_path: Path
) -> None:
    other = f"mqtt://127.0.0.1:{free_port()}"
    file = site(tmp_path, mosquitto().url, f'fallback = ["{other}"]')
    said = kerbstone("doctor", "--check", "broker", "--connect", "--json", "--config", file)
    assert said.code == 1
    tcp = answers(said)["tcp"]
    assert (tcp["about"], tcp["outcome"]) == (other, "warning")


def test_at_the_broker_that_ships_all_is_well_and_a_foreign_branch_is_not(
    kerbstone: Command, tmp_path: Path
) -> None:
    """It binds name and branch to the certificate. Its will is not published."""
    with running(tmp_path / "city") as city:
        cert, key = city.gateway("gw-0001")
        key.chmod(0o600)
        files = f'ca = "{city.folder}/ca.crt"\ncert = "{cert}"\nkey = "{key}"'
        file = site(tmp_path, f"mqtts://127.0.0.1:{city.gateways.port}", files)
        text = file.read_text()
        file.write_text(text.replace('gateway = "g"', 'gateway = "gw-0001"'))
        said = kerbstone("doctor", "--check", "broker", "--connect", "--json", "--config", file)
        assert set(answers(said)) == {"subscribers"}
        file.write_text(text.replace('gateway = "g"', 'gateway = "gw-0002"'))
        said = kerbstone("doctor", "--check", "broker", "--connect", "--json", "--config", file)
        wrong = answers(said)
        assert {"right_publish", "right_will"} <= set(wrong)
        assert wrong["right_publish"]["outcome"] == "fault"


def test_one_login_at_a_time(
    kerbstone: Command, mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cluster the name of a client counts at all brokers: the second throws the first out."""
    there, most = [0], [0]

    async def slow(broker: Broker, *_: object) -> BrokerLogin:
        there[0] += 1
        most[0] = max(most[0], there[0])
        await asyncio.sleep(0.2)
        there[0] -= 1
        return BrokerLogin(broker, error=BrokerRefusedError(136, "Server unavailable"))

    monkeypatch.setattr(brokersteps, "log_in", slow)
    one = mosquitto()
    file = site(tmp_path, one.url, f'fallback = ["{mosquitto().url}", "{mosquitto().url}"]')
    said = kerbstone("doctor", "--check", "login", "--connect", "--json", "--config", file)
    rows = json.loads(said.out)["checks"]
    assert [row["outcome"] for row in rows] == ["fault", "warning", "warning"]
    assert most == [1]


def test_no_secret_is_said(kerbstone: Command, mosquitto: Make, tmp_path: Path) -> None:
    word = tmp_path / "word"
    word.write_text("correct-horse\n")
    word.chmod(0o600)
    users = tmp_path / "users"
    users.write_text("g:$7$101$AAAAAAAAAAAAAAAA$" + "A" * 86 + "==\n")
    users.chmod(0o600)
    url = mosquitto(f"allow_anonymous false\npassword_file {users}\n").url
    file = site(tmp_path, url, f'username = "g"\npassword_file = "{word}"')
    for form in ((), ("--json",)):
        said = kerbstone("doctor", "--connect", "--config", file, *form)
        assert "login" in said.out
        assert "correct-horse" not in said.out + said.err
