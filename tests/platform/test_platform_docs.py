"""The examples in docs/platform.md are run as they stand."""

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

from edge.core import Stream
from edge.wire import decode_command, parse_ranges
from tests.kit.broker import Make
from tests.kit.platform import COMMAND, ROOT, gateway
from tests.kit.records import record, sealed
from tests.kit.waiting import until
from tests.platform.gateway_story import place, tell

PAGE = (ROOT / "docs" / "platform.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def environment(folder: Path, port: int) -> dict[str, str]:
    store = str(folder / "example.db")
    return {**os.environ, "BROKER": "127.0.0.1", "PORT": str(port), "STORE": store}


def command(text: str) -> str:
    return text.strip().replace("kerbstone", shlex.join(COMMAND), 1)


async def test_twenty_lines_give_receipts_and_manifests_prove_what_they_stored(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    words = environment(tmp_path, broker.port)
    receive, verify = examples("python")
    process = subprocess.Popen([sys.executable, "-c", receive], env=words, stderr=subprocess.PIPE)
    try:
        await until(lambda: "Sending SUBACK" in broker.log)
        story = tell(Random(7))
        async with gateway(broker) as sender:
            for number, one in enumerate(story.records):
                await sender.publish(one, "json" if number % 3 == 0 else "msgpack")
            await sender.publish(story.records[0], redelivered=True)
            await until(lambda: sender.receipted == {place(r) for r in story.records})
            await until(lambda: sender.messages == len(story.records) + 1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", verify], env=words, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    manifests = [r for r in story.records if r.key.stream is Stream.MANIFEST]
    assert len(manifests) > 1
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["proved"] * len(manifests)


async def test_the_commands_work_one_after_the_other(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    words = {**environment(tmp_path, broker.port), "PYTHONPATH": str(ROOT)}
    receive, audit, ask = (command(text) for text in examples("sh") if "city.db" in text)
    shell = subprocess.Popen(["sh", "-c", receive], env=words, cwd=tmp_path)
    await until(lambda: "Sending SUBACK" in broker.log)
    async with gateway(broker) as sender:
        for each in sealed(record(1), record(2)):
            await sender.publish(each)
        await until(lambda: len(sender.receipted) == 3)
    assert await asyncio.to_thread(shell.wait, 60) == 0
    for text in (audit, ask):  # nothing is missing, so nobody is asked
        done = await asyncio.to_thread(
            subprocess.run, ["sh", "-c", text], env=words, cwd=tmp_path, capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "1 gateways, 3 records: complete"


def test_the_command_by_hand_is_one() -> None:
    (text,) = examples("json")
    found = decode_command("resend", text.encode(), json.loads(text)["gw"])
    (ranges,) = parse_ranges(found.arguments["ranges"], "ranges")
    assert ranges.ranges == ((17, 20),)


def test_every_kind_of_finding_is_explained() -> None:
    code = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "edge" / "platform").glob("*.py")
    )
    kinds = set(re.findall(r'Finding\(\s*"(\w+)"', code))
    live_only = {"duplicate", "overrun"}
    assert kinds - live_only == set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
