"""From a card to records in the city's store, by docs/card.md: what `make image-test` shows.

    python -m tests.image.run [--image FILE] [--without STEP]

One step after another, each with its time. It ends with 1 at the first that fails, and leaves the
folder. Steps that are left out were not shown, and it says so.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.image import boxpage, boxtrial, inside
from tests.image.guest import ImageGuestError
from tests.image.scene import GATEWAY, ImageScene, check, missing_none
from tests.kit.cardpage import BOX, CITY, OPERATOR, SERVER

BUILD: Final = Path(__file__).parents[2] / "build/image"
TOOLS: Final = {
    "qemu-system-aarch64": "qemu-system-arm",
    "mosquitto": "mosquitto",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "ssh": "openssh-client",
    "xz": "xz-utils",
    "unshare": "util-linux",
}
VOLTS: Final = 230.0  # what the meter measures, see drivers/sim/typical.py
CODE: Final = r"not enrolled, gw-17, ([A-Z2-7]{4}-[A-Z2-7]{4})"
RECORD_S: Final = 600.0
SIGNED_S: Final = 180.0  # some 27 s on an idle machine: see docs/card.md, "within a minute"
PERIOD_S: Final = 5  # of the second configuration
PUBLIC_KEY: Final = "kerbstone-ssh.pub"


def card_written(scene: ImageScene) -> None:
    """Steps 1 and 2 of the page: the claim, the card."""
    scene.town.open()
    scene.people.began = time.monotonic()
    scene.card = scene.people.write_card()
    scene.say(f"{scene.card.taken_mb():.0f} MB of the card on this disk")


def enrolled(scene: ImageScene) -> None:
    """Steps 3 and 4: power, a login, and the code that box, console and operator see."""
    scene.power_on()
    scene.people.log_in()
    scene.say(f"technician is in, {scene.guest.age_s:.0f} s after power came")
    rows = scene.guest.until(scene.town.pending, "the request at the server", 120)
    code = scene.people.read_code()
    check(scene.guest.says(CODE).group(1) == code, "the console shows another code")
    check(len(rows) == 1 and rows[0]["code"] == code, f"one waits: {rows}")
    scene.people.approve(code)
    scene.guest.says(r"kerbstone: enrolled, gw-17, .*waits for its configuration")
    scene.say(f"enrolled, waits for a site file, {scene.guest.age_s:.0f} s after power came")


def configured_from_the_box(scene: ImageScene) -> None:
    """Steps 5 and 6: what is on the wires is found, proposed, signed and fetched."""
    scene.people.do(BOX, "kerbstone scan")
    scene.people.edit_found()
    proposing = scene.people.start(BOX, "kerbstone propose")
    row = scene.guest.until(lambda: proposed(scene), "the proposal at the server", 300)
    check(row["check"] == "in order" and row["state"] == "waiting", f"proposed: {row}")
    page = scene.people.do(SERVER, "provision proposals")
    check("[device.main_meter]" in page, f"the operator sees: {page}")
    scene.people.do(OPERATOR, 'scp "$SERVER/proposals')
    scene.people.edit_proposed()
    scene.people.do(OPERATOR, "provision config")
    signed = time.monotonic()
    said, _ = proposing.communicate(timeout=300)
    took_s = time.monotonic() - signed
    check(proposing.returncode == 0 and "signed: configuration" in said, f"propose: {said}")
    check(took_s < SIGNED_S, f"{took_s:.0f} s from the signature to the box")
    scene.say(f"signed, and on the box {took_s:.0f} s later")


def proposed(scene: ImageScene) -> dict[str, Any] | None:
    said = scene.town.provision("proposals", "--json", home=True)
    return next(iter(json.loads(said)["proposals"]), None)


def first_record(scene: ImageScene) -> None:
    """Step 7: the daemon has started by itself; what the meter says is in the city's store."""
    scene.people.open_store()
    scene.guest.until(lambda: scene.people.stored() or None, "a record in the store", RECORD_S)
    scene.say(f"first record in the city's store, {scene.guest.age_s:.0f} s after power came")
    said = scene.people.do(CITY, "kerbstone audit", (0, 1))
    check("gw-17" in said and "main_meter" in said, f"audit: {said}")
    scene.say(f"the page: {scene.people.counted()}")
    found = scene.guest.until(scene.records, "a record of the meter at the broker", RECORD_S)
    point = found[0]["points"]["voltage_l1"]
    check(point["mean"] == VOLTS and point["quality"] == {"good": point["n"]}, f"it says {point}")
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
    claim = (scene.people.boot / "kerbstone-claim.toml").read_text("utf-8")
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
    """A box that runs takes a changed site file the same way, and the daemon starts anew with it.

    Here systemd starts what carries it: kerbstone-proposal.path sees the file of the technician.
    """
    began = "systemctl show -P ExecMainStartTimestampMonotonic kerbstone.service"
    before = scene.guest.run(began)
    proposing = scene.people.propose(scene.town.site_text(GATEWAY, PERIOD_S))
    scene.guest.until(lambda: waits(scene), "the second proposal at the server", 300)
    scene.town.sign_proposed(GATEWAY)
    signed = time.monotonic()
    said, _ = proposing.communicate(timeout=300)
    took_s = time.monotonic() - signed
    check(proposing.returncode == 0 and "as it was proposed" in said, f"propose: {said}")
    check(took_s < SIGNED_S, f"{took_s:.0f} s from the signature to the box")
    scene.say(f"signed, and on the box {took_s:.0f} s later")

    def looks_new() -> bool:
        return any(
            each["mono"][1] - each["mono"][0] == PERIOD_S * 10**6 for each in scene.records()
        )

    scene.guest.until(looks_new, f"a record of {PERIOD_S} s", RECORD_S)
    check(scene.guest.run(began) != before, "the daemon has started anew")
    scene.guest.run("systemctl start kerbstone-renew.service", 300)
    failed = scene.guest.run("systemctl --failed --no-legend --plain", check=False)
    check(failed == "", f"failed: {failed}")
    scene.say(f"records of {PERIOD_S} s, without root at the box")


def waits(scene: ImageScene) -> bool:
    row = proposed(scene)
    return row is not None and row["state"] == "waiting"


def again(scene: ImageScene, how: str) -> None:
    """After a restart it is the same gateway, without a claim, and goes on with its records.

    Without a public key on the boot partition nobody can log in, and nothing listens; with it, who
    has the key, and no password.
    """
    machine = scene.guest.run("cat /etc/machine-id")
    if how == "reboot":
        scene.guest.reboot()
        scene.card.remove(PUBLIC_KEY)
    else:
        scene.guest.kill()
        scene.card.put(PUBLIC_KEY, scene.people.key.with_suffix(".pub").read_bytes())
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
    """Who has the key is in; a password is not asked for; root sees that all is well."""
    said = knock(scene, "id -Gn; systemctl is-active kerbstone.service")
    check({"kerbstone", "i2c", "gpio", "dialout"} <= set(said.stdout.split()), f"groups: {said}")
    other = knock(scene, "id", "-o", "PubkeyAuthentication=no")
    check("Permission denied (publickey)" in other.stderr, f"only keys are offered: {other}")
    within = knock(scene, "true", "-W", "127.0.0.1:22")
    check("prohibited" in within.stderr, f"it forwards to other places than the page: {within}")
    for user in ("technician", "root"):
        page = knock(scene, "kerbstone status 2>&1", user=user)
        there = page.returncode in (0, 1) and "connected to mqtts://" in page.stdout
        check(there, f"kerbstone status: {page}")
        scene.say(f"kerbstone status, {user}: {page.stdout.splitlines()[0]}")


def nobody_in(scene: ImageScene) -> None:
    """Without the key's file."""
    scene.say(f"open ports: {inside.no_ports(scene.guest)}")
    said = knock(scene, "id -un")
    check(said.returncode != 0, f"ssh answers without a key on the boot partition: {said}")
    check("refused" in said.stderr or "closed" in said.stderr or "reset" in said.stderr, str(said))


def knock(
    scene: ImageScene, command: str, *more: str, user: str = "technician"
) -> subprocess.CompletedProcess[str]:
    """Run it on the box, by ssh."""
    words = ["-i", str(scene.people.key), "-p", str(scene.ssh_port), "-o", "BatchMode=yes"]
    words += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={scene.folder}/hosts"]
    words += ["-o", "ConnectTimeout=20", "-o", "IdentitiesOnly=yes", *more]
    run = ["ssh", *words, f"{user}@127.0.0.1", command]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=300)


STEPS: Final[dict[str, Callable[[ImageScene], None]]] = {
    "the card": card_written,
    "enrolment": enrolled,
    "a site file from the box": configured_from_the_box,
    "a record in the city's store": first_record,
    "from inside": looked_at,
    "secrets": secrets_stay,
    "the page": boxpage.page_looked_at,
    "five minutes later": boxpage.page_gone,
    "another configuration": configured,
    "its trial": boxtrial.signed_tried,
    "a file of the box's own": boxtrial.own_file,
    "a file whose process is killed": boxtrial.killed_in_trial,
    "a file that fills the memory": boxtrial.memory_filled,
    "reboot, without a key for ssh": lambda scene: again(scene, "reboot"),
    "nobody can log in": nobody_in,
    "power cut": lambda scene: again(scene, "cut"),
    "ssh": by_ssh,
}

APART: Final = ("from inside", "secrets", "the page", "five minutes later", "its trial",
                "a file of the box's own", "a file whose process is killed",
                "a file that fills the memory")  # fmt: skip
"""Trials need five minutes of a file that runs well before them, which those of the page are."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.image.run", description=__doc__)
    parser.add_argument("--image", type=Path, help="default is the newest in build/image")
    parser.add_argument("--without", action="append", default=[], choices=[*APART], metavar="STEP",
        help=f"leave out one on which no other is built: {', '.join(APART)}; may be "
        "repeated")  # fmt: skip
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
    scene.say(f"{image.name}, {image.stat().st_size / 1e6:.0f} MB")
    try:
        for name, step in STEPS.items():
            scene.say(f"== {name}{' is left out' if name in args.without else ''}")
            if name not in args.without:
                step(scene)
    except (ImageGuestError, RuntimeError, OSError) as error:
        scene.say(f"FAILED: {error}")
        print(inside.journal(scene.guest) if scene.boots else "")
        print(f"all that was said is in {folder}", file=sys.stderr)
        return 1
    finally:
        if scene.boots:
            scene.guest.kill()
        scene.people.close()
        scene.town.close()
    without = f", but for what was left out: {', '.join(args.without)}" if args.without else ""
    scene.say(f"all is well{without}")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
