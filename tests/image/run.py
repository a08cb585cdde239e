"""From a card to records at the city's broker: what `make image-test` shows.

    python -m tests.image.run [--image FILE]

One step after another, each with its time. It ends with 1 at the first that fails, and leaves the
folder.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.image import inside
from tests.image.guest import ImageGuestError
from tests.image.scene import GATEWAY, ImageScene, check, missing_none

BUILD: Final = Path(__file__).parents[2] / "build/image"
TOOLS: Final = {
    "qemu-system-aarch64": "qemu-system-arm",
    "mosquitto": "mosquitto",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "ssh": "openssh-client",
    "unshare": "util-linux",
}
VOLTS: Final = 230.0  # what the meter measures, see drivers/sim/typical.py
CODE: Final = r"not enrolled, gw-17, ([A-Z2-7]{4}-[A-Z2-7]{4})"
RECORD_S: Final = 600.0
PERIOD_S: Final = 5  # of the second configuration


def claimed(scene: ImageScene) -> None:
    """First boot: the claim is taken, the code on the console is the one that the server shows."""
    scene.card.put("kerbstone-claim.toml", scene.town.claim(GATEWAY))
    scene.town.open()
    scene.power_on()
    code = scene.guest.says(CODE).group(1)
    scene.say(f"it shows the code {code}, {scene.guest.age_s:.0f} s after power came")
    rows = scene.guest.until(scene.town.pending, "the request at the server", 120)
    check(
        len(rows) == 1 and rows[0]["gateway"] == GATEWAY and rows[0]["code"] == code,
        f"one waits: {rows}",
    )
    scene.town.provision("approve", GATEWAY, "--code", code, home=True)
    scene.guest.says(r"kerbstone: enrolled, gw-17")
    scene.say(f"enrolled, {scene.guest.age_s:.0f} s after power came")


def first_record(scene: ImageScene) -> None:
    """The daemon has started by itself, and what the meter says is at the broker."""
    found = scene.guest.until(scene.records, "a record of the meter at the broker", RECORD_S)
    point = found[0]["points"]["voltage_l1"]
    check(point["mean"] == VOLTS and point["quality"] == {"good": point["n"]}, f"it says {point}")
    scene.say(f"first record at the broker, {scene.guest.age_s:.0f} s after power came")
    scene.guest.run("systemctl is-active kerbstone.service")
    log = scene.town.log("mosquitto")
    check(f"u'{GATEWAY}'" in log, "the broker knows it by its certificate")


def looked_at(scene: ImageScene) -> None:
    """What is there from inside: ports, mounts, rights, memory."""
    for name, look in inside.LOOKS.items():
        scene.say(f"{name}: {look(scene.guest)}")
    scene.say(f"closed to others: {inside.egress(scene.guest, scene.town.broker_port)}")


def secrets_stay(scene: ImageScene) -> None:
    """Nothing of the key is on the boot partition or on the wire; the claim's code is gone."""
    key = scene.guest.run("cat /var/lib/kerbstone-identity/current/key.pem")
    body = "".join(row for row in key.splitlines() if not row.startswith("-"))
    check(len(body) > 100, "a key in PEM")
    claim = (scene.town.folder / f"card-{GATEWAY}/kerbstone-claim.toml").read_text("utf-8")
    found = re.search(r'^code = "(\w+)"', claim, re.MULTILINE)
    check(found is not None, "the claim has a code")
    assert found is not None
    scene.guest.run("sync -f /boot/firmware")
    raw = scene.card.raw_boot()
    traffic = (scene.guest.log.parent / "traffic.pcap").read_bytes()
    for row in key.splitlines()[1:-1]:
        check(row.encode() not in raw and row.encode() not in traffic, "the key stays where it is")
    check(found[1].encode() not in raw, "the code is not on the boot partition any more")
    check("kerbstone-claim.toml" not in scene.card.names(), "the claim is gone")
    check("kerbstone-claim.used" in scene.card.names(), "what is left of it is there")
    scene.say(
        f"{len(traffic) / 1e6:.2f} MB of traffic, {len(raw) / 1e6:.0f} MB of boot partition: no key"
    )


def configured(scene: ImageScene) -> None:
    """A signed configuration that was changed is taken, and the daemon starts anew with it."""
    began = "systemctl show -P ExecMainStartTimestampMonotonic kerbstone.service"
    before = scene.guest.run(began)
    scene.town.configure(GATEWAY, period=PERIOD_S)
    scene.guest.run("systemctl start kerbstone-renew.service", 300)

    def looks_new() -> bool:
        return any(
            each["mono"][1] - each["mono"][0] == PERIOD_S * 10**6 for each in scene.records()
        )

    scene.guest.until(looks_new, f"a record of {PERIOD_S} s", RECORD_S)
    check(scene.guest.run(began) != before, "the daemon has started anew")
    failed = scene.guest.run("systemctl --failed --no-legend --plain", check=False)
    check(failed == "", f"failed: {failed}")
    scene.say(f"records of {PERIOD_S} s, without a hand at the box")


def again(scene: ImageScene, how: str) -> None:
    """After a restart it is the same gateway, without a claim, and goes on with its records."""
    machine = scene.guest.run("cat /etc/machine-id")
    if how == "reboot":
        scene.guest.reboot()
    else:
        scene.guest.kill()
    before = len(scene.records())
    scene.power_on()
    scene.guest.until(
        lambda: len(scene.records()) > before or None, "a record after the start", RECORD_S
    )
    scene.say(f"records again, {scene.guest.age_s:.0f} s after power came")
    check(scene.guest.run("cat /etc/machine-id") == machine, "the machine id is the same")
    check("not enrolled" not in scene.guest.console(), "it does not ask again")
    check(scene.town.pending() == [], "nobody waits")
    scene.say(f"{missing_none(scene.records())} records so far, none is missing")


def by_ssh(scene: ImageScene) -> None:
    """With a public key on the boot partition, not before, ssh lets its owner in; no password."""
    said = knock(scene, "id -un")
    check(said.returncode != 0, f"ssh answers without a key on the boot partition: {said}")
    check("refused" in said.stderr or "closed" in said.stderr or "reset" in said.stderr, str(said))
    key = scene.folder / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    scene.guest.reboot()
    scene.card.put("kerbstone-ssh.pub", key.with_suffix(".pub").read_bytes())
    scene.power_on()
    scene.guest.until(lambda: knock(scene, "id -un").returncode == 0, "a login by ssh", 600)
    said = knock(scene, "id -Gn; systemctl is-active kerbstone.service")
    check({"kerbstone", "i2c", "gpio", "dialout"} <= set(said.stdout.split()), f"groups: {said}")
    scene.say(f"technician is in, {scene.guest.age_s:.0f} s after power came")
    other = knock(scene, "id", "-o", "PubkeyAuthentication=no")
    check("Permission denied (publickey)" in other.stderr, f"only keys are offered: {other}")
    before = len(scene.records())
    scene.guest.until(lambda: len(scene.records()) > before or None, "a record", RECORD_S)
    page = knock(scene, "kerbstone status 2>&1", user="root")
    there = page.returncode in (0, 1) and "connected to mqtts://" in page.stdout
    check(there, f"kerbstone status: {page}")
    scene.say(f"kerbstone status: {page.stdout.splitlines()[0]}")


def knock(
    scene: ImageScene, command: str, *more: str, user: str = "technician"
) -> subprocess.CompletedProcess[str]:
    """Run it on the box, by ssh."""
    words = ["-i", str(scene.folder / "key"), "-p", str(scene.ssh_port), "-o", "BatchMode=yes"]
    words += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={scene.folder}/hosts"]
    words += ["-o", "ConnectTimeout=20", "-o", "IdentitiesOnly=yes", *more]
    run = ["ssh", *words, f"{user}@127.0.0.1", command]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=300)


STEPS: Final[dict[str, Callable[[ImageScene], None]]] = {
    "first boot with a claim": claimed,
    "a record over mutual TLS": first_record,
    "from inside": looked_at,
    "secrets": secrets_stay,
    "another configuration": configured,
    "reboot": lambda scene: again(scene, "reboot"),
    "power cut": lambda scene: again(scene, "cut"),
    "ssh": by_ssh,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.image.run", description=__doc__)
    parser.add_argument("--image", type=Path, help="default is the newest in build/image")
    args = parser.parse_args(arguments)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        print(f"tools are missing: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    images = sorted(BUILD.glob("kerbstone-*.img"), key=lambda path: path.stat().st_mtime)
    image = args.image or (images[-1] if images else None)
    if image is None:
        print("there is no image: make image", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing of it stays
    folder = Path(tempfile.mkdtemp(prefix="kerbstone-image-"))
    scene = ImageScene(image, folder)
    sizes = (
        f"{image.stat().st_size / 1e6:.0f} MB, {scene.card.taken_mb():.0f} MB of it on this disk"
    )
    scene.say(f"{image.name}, {sizes}")
    try:
        for name, step in STEPS.items():
            scene.say(f"== {name}")
            step(scene)
    except (ImageGuestError, RuntimeError) as error:
        scene.say(f"FAILED: {error}")
        print(inside.journal(scene.guest) if scene.boots else "")
        print(f"all that was said is in {folder}", file=sys.stderr)
        return 1
    finally:
        if scene.boots:
            scene.guest.kill()
        scene.town.close()
    scene.say("all is well")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
