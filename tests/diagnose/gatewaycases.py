"""Site file, rights, outbox, models and lanes: on disks, and as a real gateway tells it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from edge.control.protocol import VerbError
from edge.core import Draft, Stamp, Stream, TimeQuality
from edge.diagnose.checks import CheckId
from edge.diagnose.daemonuser import DaemonUser
from edge.gateway import issuefindings as find
from edge.gateway.datasaver import SaverLevel
from edge.gateway.issuewatch import issues_for_people
from edge.gateway.linkfindings import budget_findings
from edge.health.openissues import IssueFinding, OpenIssues
from edge.outbox import OutboxCounts
from edge.wire.contract.event import SensorFault
from edge.wire.contract.health import Health
from models import BUNDLES
from tests.diagnose.bench import Answers, Bench, clean, fault_of
from tests.kit.outbox import drafts, opened

ROOT = Path(__file__).parents[2]
NOW = Stamp(5_000_000_000, 1_795_000_000_000_000_000, TimeQuality.NTP)


def open_issues(findings: Iterable[IssueFinding]) -> list[dict[str, Any]]:
    """As a gateway lists them that has found this."""
    issues = OpenIssues()
    for each in findings:
        issues.put(each, NOW)
    return issues_for_people(issues, NOW)


def told(bench: Bench, check: CheckId, *findings: IssueFinding, **changed: Any) -> Answers:
    """By a real gateway's status, with these issues, and these words in place of its own."""
    status = {**deepcopy(bench.gateway.status), **changed}
    status["issues"] = open_issues(findings)
    return bench.ask(check, bench.gateway.file, status=status)


# -- configuration, gateway ------------------------------------------------------------------------


@fault_of("site_file")
def a_prefix_that_is_outdated(bench: Bench) -> Answers:
    return bench.ask("site_file", bench.site(AIR_URL, AIR, uplink='prefix = "city.kerb"'))


@clean("site_file")
def a_file_without_a_doubt(bench: Bench) -> Answers:
    return bench.ask("site_file", bench.site(AIR_URL, AIR))


AIR_URL = "mqtt://localhost"
AIR = """
[bus.hut]
kind = "i2c"
path = "/dev/i2c-1"
[device.hut_air]
driver = "sht4x"
bus = "hut"
"""


@fault_of("site_in_use")
def a_gateway_with_another_file(bench: Bench) -> Answers:
    return told(bench, "site_in_use", lanes={"south_9": {"bus": "loops"}})


@clean("site_in_use")
def a_gateway_with_this_file(bench: Bench) -> Answers:
    return told(bench, "site_in_use")


@fault_of("gateway_runs")
def a_gateway_that_does_not_answer(bench: Bench) -> Answers:
    def silent(*_: object) -> None:
        raise VerbError("the daemon gave no answer within 10 s")

    bench.monkeypatch.setattr("edge.cli.doctor.ask_daemon", silent)
    return bench.ask("gateway_runs", bench.site())


@clean("gateway_runs")
def a_gateway_that_runs(bench: Bench) -> Answers:
    return told(bench, "gateway_runs")


@fault_of("gateway_load")
def a_gateway_that_drops_messages(bench: Bench) -> Answers:
    busy = find.daemon_findings(
        dropped=7, stage_overflow=0, unmatched_edges=0, hangs=0, journal=None
    )
    return told(bench, "gateway_load", *(each for each in busy if each.count))


@clean("gateway_load")
def a_gateway_that_keeps_up(bench: Bench) -> Answers:
    return told(bench, "gateway_load")


@fault_of("data_budget")
def a_gateway_that_merges_minutes(bench: Bench) -> Answers:
    spent = SaverLevel(2, 10**6, 10**6, "2026-12", 1)
    return told(bench, "data_budget", *budget_findings(spent, counted=True, billing_day=1))


@clean("data_budget")
def a_gateway_with_bytes_left(bench: Bench) -> Answers:
    return told(bench, "data_budget", data_saver={"level": 1, "used": 8, "budget": 10**7})


@fault_of("last_start")
def a_gateway_that_had_crashed(bench: Bench) -> Answers:
    crash = find.box_findings({}, Health(), "crash", "It had ended with an error.")
    return told(bench, "last_start", *crash)


@clean("last_start")
def a_gateway_that_was_stopped(bench: Bench) -> Answers:
    return told(bench, "last_start")


@fault_of("log_volume")
def a_log_that_is_flooded(bench: Bench) -> Answers:
    text = "The log has used up its bytes for today: lines are left out"
    flood = find.box_findings({"log_flood": text}, Health(), "clean", "")
    return told(bench, "log_volume", *flood)


@clean("log_volume")
def a_log_that_is_quiet(bench: Bench) -> Answers:
    return told(bench, "log_volume")


# -- rights ----------------------------------------------------------------------------------------

PORT = """
[bus.meters]
kind = "modbus-rtu"
port = "{dir}/ttyAMA0"
[device.main]
driver = "sdm120"
bus = "meters"
unit = 1
"""


def port_of(bench: Bench, *, group: int) -> Answers:
    """A port of a group that the gateway's user is in, or not."""
    port = bench.tmp_path / "ttyAMA0"
    port.touch()
    port.chmod(0o660)
    user = DaemonUser("kerbstone", port.stat().st_uid + 1, frozenset({port.stat().st_gid + group}))
    bench.monkeypatch.setattr("edge.cli.doctor.installed_user", lambda root: user)
    return bench.ask("bus_rights", bench.site(AIR_URL, PORT))


@fault_of("bus_rights")
def a_port_of_a_foreign_group(bench: Bench) -> Answers:
    return port_of(bench, group=1)


@clean("bus_rights")
def a_port_of_the_users_group(bench: Bench) -> Answers:
    return port_of(bench, group=0)


@fault_of("store_rights")
def a_folder_below_a_file(bench: Bench) -> Answers:
    (bench.tmp_path / "store").touch()
    return bench.ask("store_rights", bench.site())


@clean("store_rights")
def folders_that_can_be_written(bench: Bench) -> Answers:
    (bench.tmp_path / "store").mkdir()
    (bench.tmp_path / "run").mkdir()
    return bench.ask("store_rights", bench.site())


def secret(bench: Bench, *, there: bool) -> Answers:
    file = bench.tmp_path / "password"
    if there:
        file.write_text("word\n")
        file.chmod(0o600)
    named = f'username = "gw-1"\npassword_file = "{file}"'
    return bench.ask("secret_files", bench.site(uplink=named))


@fault_of("secret_files")
def a_password_that_is_not_there(bench: Bench) -> Answers:
    return secret(bench, there=False)


@clean("secret_files")
def a_password_of_its_own(bench: Bench) -> Answers:
    return secret(bench, there=True)


# -- outbox ----------------------------------------------------------------------------------------


def filled(bench: Bench) -> Path:
    """An outbox that was closed; where the site has its own."""
    outbox = opened(bench.tmp_path)
    outbox.begin()
    outbox.commit(drafts(3))
    outbox.close()
    (bench.tmp_path / "outbox").rename(bench.tmp_path / "store")
    return bench.tmp_path / "store"


HOLD = "import sqlite3, sys; held = sqlite3.connect(sys.argv[1]); "
HOLD += "held.execute('PRAGMA locking_mode = EXCLUSIVE'); held.execute('BEGIN EXCLUSIVE'); "
HOLD += "print('held', flush=True); input()"


@fault_of("store_free")
def an_outbox_that_a_program_has_open(bench: Bench) -> Answers:
    database = filled(bench) / "outbox.db"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        found = bench.ask("store_free", bench.site())
        holder.communicate(b"\n")
    return found


@clean("store_free")
def an_outbox_that_nobody_has_open(bench: Bench) -> Answers:
    filled(bench)
    return bench.ask("store_free", bench.site())


@fault_of("outbox_room")
def an_outbox_that_is_nearly_full(bench: Bench) -> Answers:
    full = find.outbox_findings(OutboxCounts(size=95 << 20, limit=100 << 20))
    return told(bench, "outbox_room", *(each for each in full if each.count != 0))


@clean("outbox_room")
def an_outbox_with_room(bench: Bench) -> Answers:
    filled(bench)
    return bench.ask("outbox_room", bench.site())


@fault_of("outbox_losses")
def an_outbox_in_memory(bench: Bench) -> Answers:
    lost = find.outbox_findings(OutboxCounts(limit=1, in_memory="Input/output error"))
    return told(bench, "outbox_losses", *(each for each in lost if each.count != 0))


@clean("outbox_losses")
def an_outbox_that_has_lost_nothing(bench: Bench) -> Answers:
    return told(bench, "outbox_losses")


@fault_of("outbox_kept")
def a_damaged_outbox_that_was_put_aside(bench: Bench) -> Answers:
    aside = filled(bench) / "quarantine/000001"
    aside.mkdir(parents=True)
    (aside / "outbox.db").write_bytes(bytes(7000))
    return bench.ask("outbox_kept", bench.site())


@clean("outbox_kept")
def an_outbox_with_nothing_aside(bench: Bench) -> Answers:
    filled(bench)
    return bench.ask("outbox_kept", bench.site())


# -- models, lanes ---------------------------------------------------------------------------------


def models_in(bench: Bench, folder: Path) -> Answers:
    file = bench.site(AIR_URL, AIR)
    text = file.read_text().replace("anomaly = false", f'anomaly = true\ndir = "{folder}"')
    file.write_text(text)
    return bench.ask("models", file)


@fault_of("models")
def a_model_that_was_damaged(bench: Bench) -> Answers:
    folder = bench.tmp_path / "models"
    shutil.copytree(BUNDLES / "anomaly", folder / "anomaly")
    [graph] = (folder / "anomaly").glob("*.onnx")
    graph.write_bytes(graph.read_bytes()[:-100] + os.urandom(100))
    return models_in(bench, folder)


@clean("models")
def a_model_as_it_ships(bench: Bench) -> Answers:
    return models_in(bench, BUNDLES)


@fault_of("lane_edges")
def a_loop_that_never_changed(bench: Bench) -> Answers:
    quiet = {"last_s": None, "edges": 0, "over_s": 3600.0}
    lanes = {"north_1": {"bus": "loops", "edges": {"lead": quiet}}}
    return told(bench, "lane_edges", lanes=lanes)


@clean("lane_edges")
def loops_that_are_driven_over(bench: Bench) -> Answers:
    return told(bench, "lane_edges")


@fault_of("lane_verdict")
def loops_that_are_exchanged(bench: Bench) -> Answers:
    text = "north_1: lead and trail are exchanged; exchange the two inputs"
    body = SensorFault(state="on", fault="swapped", part="lead", text=text, by="rule")
    found = find.event_finding(Draft(Stream.EVENT, "north_1", 0, 0, body))
    assert found is not None
    return told(bench, "lane_verdict", found[0])


@clean("lane_verdict")
def loops_without_a_fault(bench: Bench) -> Answers:
    return told(bench, "lane_verdict")
