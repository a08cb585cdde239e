"""`kerbstone subscribe` as a process, against mosquitto."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edge.core import Draft, Stream, Sweep, all_good
from edge.wire import raw_body
from tests.kit.broker import Make, Mosquitto, free_port
from tests.kit.uplink import GW, S, UplinkGateway, box, drafts
from tests.kit.waiting import until

ROOT = Path(__file__).parents[2]
MAIN = [sys.executable, "-m", "edge.cli.main", "subscribe", "--broker"]


@contextlib.contextmanager
def subscriber(broker: Mosquitto, *options: str) -> Iterator[subprocess.Popen[str]]:
    before = broker.log.count("Sending SUBACK")
    process = subprocess.Popen(
        [*MAIN, broker.url, *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while broker.log.count("Sending SUBACK") == before:
            assert time.monotonic() < end
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@contextlib.asynccontextmanager
async def gateway(folder: Path, broker: Mosquitto) -> AsyncIterator[UplinkGateway]:
    async with box(folder, broker.url, "msgpack") as made:
        made.connect()
        await until(lambda: made.sender.connected)
        yield made


async def end_after(process: subprocess.Popen[str], records: int) -> tuple[int, list[str], str]:
    """Told to end once it has printed so many records, with --json."""
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        seen: set[tuple[int, str, int]] = set()  # one may come again
        while len(seen) < records and (text := process.stdout.readline()):
            lines.append(text.rstrip("\n"))
            said = json.loads(text)
            if said["kind"] == "record":
                seen.add((said["epoch"], said["stream"], said["seq"]))

    await asyncio.to_thread(read)
    process.send_signal(signal.SIGTERM)
    code, rest, err = await end_of(process)
    return code, [*lines, *rest], err


async def end_of(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    out, err = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, out.splitlines(), err


async def test_every_encoding_comes_out_as_json(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    body = raw_body({"m": ["u"]}, [Sweep("m", S, (230.5,), all_good(1))])
    raw = Draft(Stream.RAW, "", 0, S, body)
    event = Draft(Stream.EVENT, "gateway", S, S, {"event": "clock", "text": "It is late."})
    with subscriber(broker, "--json") as process:
        async with gateway(tmp_path, broker) as made:
            await made.commit([*drafts(0, 1), raw, event])
            await until(lambda: made.sender.counts.confirmed == 3)
        code, lines, _ = await end_after(process, 3)
    assert code == 0
    records = {r["stream"]: r for r in map(json.loads, lines) if r["kind"] == "record"}
    assert set(records) == {"air", "raw", "event"}
    assert records["raw"]["sweeps"][0]["values"] == [230.5]
    assert records["air"]["topic"] == f"kerbstone/v1/stadtmitte/{GW}/up/air/hut_air"
    assert records["event"]["text"] == "It is late."


async def test_a_clean_stream_is_clean_and_a_gap_is_found(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    async with gateway(tmp_path / "a", broker) as made:  # first: the idle time begins with a record
        with subscriber(broker, "--check", "--idle", "2.5") as process:
            await made.commit(drafts(0, 10))
            await until(lambda: made.sender.counts.confirmed == 10)
            code, lines, err = await end_of(process)
    assert (code, lines[-1]) == (0, "10 records: complete"), (lines, err)

    with subscriber(broker, "--check", "--json") as process:
        async with box(tmp_path / "b", broker.url) as made:
            await made.writer.commit(drafts(0, 5))
            made.writer.confirm([stored.row for stored in await made.writer.pending(0, 5)][2:4])
            made.connect()
            await until(lambda: made.sender.counts.confirmed == 3)
        code, lines, err = await end_after(process, 3)
    verdict = json.loads(lines[-1])
    assert (code, verdict["check"]) == (1, "findings"), (lines, err)
    assert [finding["kind"] for finding in verdict["findings"]] == ["missing"]
    assert "missing" in err


async def test_a_check_survives_a_broker_that_is_killed(
    mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.uplink.reconnect.SPREAD_DEFAULT_S", 0.05)
    broker = mosquitto(
        f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/\n"
        "autosave_interval 1\nautosave_on_changes true\n"
    )
    with subscriber(broker, "--check", "--json") as process:
        async with gateway(tmp_path, broker) as made:
            await made.commit(drafts(0, 10))
            await until(lambda: made.sender.counts.confirmed == 10)
            broker.kill()
            await made.commit(drafts(10, 10))
            broker.start()
            await until(lambda: made.sender.counts.confirmed == 20)
            await made.commit(drafts(20, 1))
            await until(lambda: made.sender.counts.confirmed == 21)
        code, lines, err = await end_after(process, 21)
    verdict = json.loads(lines[-1])
    assert (code, verdict["check"], verdict["records"]) == (0, "clean", 21), (lines, err)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--check", "--filter", "kerbstone/v1/+/+/up/air/hut"], 2, "/up/air/#"),
        (["--cert", "/no/such/file"], 3, "cannot be reached"),
    ],
)
def test_wrong_use_and_no_broker(options: list[str], code: int, says: str) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [*MAIN, url, *options], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_subscription_that_is_refused_is_not_silence(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto("allow_anonymous false\n")
    done = await asyncio.to_thread(
        subprocess.run, [*MAIN, broker.url], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 3
    assert "Not authorized" in done.stderr


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("two\nlines\n", ["--username", "x"], "one line with the password"),
        ("x" * 2000, ["--username", "x"], "one line with the password"),
        ("hush\n", [], "--username"),
    ],
)
def test_a_password_that_cannot_work_is_wrong_use(
    tmp_path: Path, content: str, options: list[str], says: str
) -> None:
    """Read by the gateway's own reader, with the same checks."""
    secret = tmp_path / "secret"
    secret.write_text(content)
    done = subprocess.run(
        [*MAIN, f"mqtt://127.0.0.1:{free_port()}", "--password-file", str(secret), *options],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "hush" not in done.stderr


async def test_an_expected_gateway_is_heard_and_one_that_is_not_there_is_missed(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    with subscriber(broker, "--json", "--expect", GW, "--expect", "gw-nowhere") as process:
        async with gateway(tmp_path, broker) as made:
            await made.commit(drafts(0, 2))
            await until(lambda: made.sender.counts.confirmed == 2)
        code, lines, err = await end_after(process, 2)
    assert code == 1
    assert f"expected {GW}: heard " in err
    assert "expected gw-nowhere: nothing heard in " in err
    expected = json.loads(lines[-1])["expected"]
    assert (expected[GW]["heard"], expected["gw-nowhere"]["heard"]) == (True, False)


async def test_all_expected_gateways_that_are_heard_are_exit_0(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    with subscriber(broker, "--json", "--expect", f"stadtmitte/{GW}") as process:
        async with gateway(tmp_path, broker) as made:
            await made.commit(drafts(0, 1))
            await until(lambda: made.sender.counts.confirmed == 1)
        code, _, err = await end_after(process, 1)
    assert code == 0, err


async def test_a_gateway_that_only_left_something_behind_is_not_heard(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    async with gateway(tmp_path, broker) as made:
        await made.commit(drafts(0, 1))
        await until(lambda: made.sender.counts.confirmed == 1)
    with subscriber(broker, "--expect", GW, "--for", "0.5") as process:
        code, _, err = await end_of(process)
    assert code == 1
    assert f"expected {GW}: nothing heard in " in err
    assert "It is offline: it was stopped" in err
