"""A configuration on trial under the real systemd: what the operator signed; then files of the
box's own, one taken in place, one with kill -9 in its trial, one that fills the memory.

The image has no room for a file of its own: /etc is read-only, and the operator signs. A box that
was installed by the package has one, so the guest gets a small /etc/kerbstone in memory for this.
"""

import json
from typing import Any, Final

from tests.image.guest import ImageGuestError
from tests.image.scene import ImageScene, check
from tests.kit.hugesite import huge_site

UNIT: Final = "kerbstone.service"
SIGNED: Final = "/data/kerbstone-identity/site.toml"
NEW: Final = "/tmp/new.toml"
OWN: Final = "/etc/kerbstone/site.toml"
ROOM: Final = 40 << 20  # bytes that the daemon may take more than it has
CONFIG: Final = "kerbstone config"
HEALTHY_S: Final = 480.0  # the five minutes of a trial, and what an emulated guest needs more


def signed_tried(scene: ImageScene) -> None:
    """What the operator has signed is on trial, for the former one has run well."""
    state = _status(scene)
    check((state["state"], state["signed"]) == ("trial", True), f"after the signature: {state}")
    scene.say(f"{state['trial']['health_left_s']:.0f} s of good health are left")


def own_file(scene: ImageScene) -> None:
    """The daemon takes its own place, and systemd waits for nobody; a restart in the trial, and it
    goes on; confirmed by hand."""
    run = scene.guest.run
    run("mount -t tmpfs -o mode=750,uid=0 kerbstone-own /etc/kerbstone")
    run("chgrp kerbstone /etc/kerbstone")
    run(f"install -m 640 -g kerbstone {SIGNED} {OWN}")
    run(f"systemctl restart {UNIT}", 240)
    _until_runs(scene, OWN)
    before = _unit(scene)
    text = run(f"cat {OWN}")
    other = text.replace("period_s = 5", "period_s = 6")
    said = _apply(scene, other, "--confirm-within 20m --json")
    check(json.loads(said)["restarts"] == ["daemon"], f"apply: {said}")
    _until(scene, "trial", 120)
    known = len(scene.records())
    scene.guest.until(lambda: len(scene.records()) > known, "a record of the changed file", 120)
    after = _unit(scene)
    check(after == before, f"in its own place: {before}, {after}")
    scene.say(f"taken in place: {after}")
    run(f"systemctl restart {UNIT}", 240)
    check(_until(scene, "trial", 120)["state"] == "trial", "a restart ends no trial")
    run(f"{CONFIG} confirm", 120)
    check(_status(scene)["trial"]["vouched"], "somebody has confirmed it")
    _until(scene, "confirmed", HEALTHY_S)
    scene.say("restarted in its trial, confirmed by hand, and by five minutes of good health")


def killed_in_trial(scene: ImageScene) -> None:
    """kill -9 in a trial: the last good file runs, and root's unit puts it back in its place."""
    run = scene.guest.run
    text = run(f"cat {OWN}")
    _apply(scene, text.replace("period_s = 6", "period_s = 7"), "--confirm-within 20m")
    _until(scene, "trial", 120)
    run(f"systemctl kill --signal=KILL {UNIT}")
    found = _until(scene, "rolled_back", 300)
    check(found["reason"] == "bad_start", f"rolled back: {found}")
    scene.guest.until(lambda: run(f"cat {OWN}") == text, "the former file in its place", 300)
    scene.say("the former file runs and is in its place")


def memory_filled(scene: ImageScene) -> None:
    """The kernel kills it at the limit of its group, systemd starts it again, and the last good
    file runs."""
    run = scene.guest.run
    limit = int(run(f"systemctl show -P MemoryCurrent {UNIT}")) + ROOM
    run(f"systemctl set-property --runtime {UNIT} MemoryHigh=infinity MemoryMax={limit}")
    text = run(f"cat {OWN}")
    _apply(scene, huge_site(text))
    found = _until(scene, "rolled_back", 900)
    check(found["reason"] == "bad_start", f"rolled back: {found}")
    scene.guest.until(lambda: run(f"cat {OWN}") == text, "the former file in its place", 300)
    killed = run("journalctl -k -b --no-hostname | grep -c 'Memory cgroup out of memory'")
    check(int(killed) >= 1, f"the kernel has killed {killed}")
    failed = run(f"journalctl -b -u {UNIT} --no-hostname | grep -c \"result 'oom-kill'\"")
    scene.say(f"killed by the kernel {killed} times, systemd says oom-kill {failed} times")
    known = len(scene.records())
    scene.guest.until(lambda: len(scene.records()) > known, "a record after it", 300)
    run(f"systemctl revert {UNIT}; umount /etc/kerbstone; systemctl restart {UNIT}", 240)
    _until_runs(scene, SIGNED)


def _apply(scene: ImageScene, text: str, *words: str) -> str:
    """With what it prints."""
    check(scene.people.typed(f"cat > {NEW}", text) == "", "the file is on the box")
    return scene.guest.run(f"{CONFIG} apply {NEW} {' '.join(words)}", 300, check=False)


def _status(scene: ImageScene) -> dict[str, Any]:
    said = scene.guest.run(f"{CONFIG} status --json", 120, check=False)
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        raise ImageGuestError(f"config status: {said}") from None
    return found


def _until(scene: ImageScene, state: str, timeout_s: float) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        try:
            found = _status(scene)
        except ImageGuestError:
            return None  # the daemon starts just now
        return found if found.get("state") == state else None

    return scene.guest.until(there, f"the configuration: {state}", timeout_s)


def _until_runs(scene: ImageScene, path: str) -> None:
    """The daemon answers, and says that it runs with what is there."""

    def there() -> bool:
        try:
            found = _status(scene)
        except ImageGuestError:
            return False  # it starts just now
        runs = found.get("running") == found.get("digest")
        return found.get("file") == path and runs and _unit(scene)["ActiveState"] == "active"

    scene.guest.until(there, f"the daemon with {path}", 240)


def _unit(scene: ImageScene) -> dict[str, str]:
    said = scene.guest.run(f"systemctl show -p MainPID,NRestarts,ActiveState {UNIT}")
    return dict(row.split("=", 1) for row in said.splitlines() if "=" in row)
