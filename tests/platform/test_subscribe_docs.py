"""The examples in docs/subscribe.md are run as they stand."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.broker import Make, Mosquitto
from tests.kit.uplink import GW, UplinkGateway, box, drafts
from tests.kit.waiting import until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "subscribe.md").read_text(encoding="utf-8")
# `make test` puts npm's mqtt and @msgpack/msgpack there when Node is on this machine
NODE_PATH = os.environ.get("NODE_PATH") or str(ROOT / ".venv-node" / "node_modules")
TOPIC = f"kerbstone/v1/stadtmitte/{GW}/up/air/hut_air"


def example(language: str) -> str:
    """The first block in this language."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


def start(
    broker: Mosquitto, command: list[str], folder: Path | None = None
) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "NODE_PATH": NODE_PATH,
        "BROKER": "127.0.0.1",
        "PORT": str(broker.port),
    }
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        cwd=folder or ROOT,
    )  # fmt: skip


async def published(
    made: UplinkGateway, broker: Mosquitto, subscriber: subprocess.Popen[str]
) -> None:
    await until(lambda: "Sending SUBACK" in broker.log or subscriber.poll() is not None)
    if subscriber.poll() is not None:
        raise AssertionError(f"the example has ended: {subscriber.communicate()[1]}")
    made.connect()
    await made.commit(drafts(0, 1))
    await until(lambda: made.sender.counts.confirmed == 1)


async def first_record(process: subprocess.Popen[str]) -> str:
    """The first line that is no retained one."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while line := await asyncio.to_thread(process.stdout.readline):
                if TOPIC in line:
                    return line
    finally:
        process.kill()
        _, errors = process.communicate()
    raise AssertionError(errors)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_the_python_example(mosquitto: Make, tmp_path: Path, encoding: str) -> None:
    broker = mosquitto()
    process = start(broker, [sys.executable, "-c", example("python")])
    async with box(tmp_path, broker.url, encoding) as made:
        await published(made, broker, process)
        assert '"covered_s": 1.0' in await first_record(process)


async def test_the_mosquitto_sub_example(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    process = start(broker, ["sh", "-c", example("sh")])
    async with box(tmp_path, broker.url) as made:
        await published(made, broker, process)
        out, errors = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, errors
    assert out.startswith(f"kerbstone/v1/stadtmitte/{GW}/up/")
    assert out.rstrip().endswith("}")


async def test_the_node_example(mosquitto: Make, tmp_path: Path) -> None:
    node = shutil.which("node")
    wanted = "require('mqtt');require('@msgpack/msgpack')"
    if node is None:
        pytest.skip("node is not installed")
    paths = {**os.environ, "NODE_PATH": NODE_PATH}
    found = subprocess.run([node, "-e", wanted], env=paths, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"npm packages mqtt and @msgpack/msgpack are not in NODE_PATH={NODE_PATH!r}")
    broker = mosquitto()
    process = start(broker, [node, "-e", example("js")])
    async with box(tmp_path, broker.url, "msgpack") as made:
        await published(made, broker, process)
        assert '"covered_s":1' in await first_record(process)


def test_the_check_example_is_a_command_that_exists() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    command = blocks[1].strip().replace("kerbstone", f"{sys.executable} -m edge.cli.main")
    command = command.replace("$BROKER:$PORT", "127.0.0.1:1")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 3, done.stderr
