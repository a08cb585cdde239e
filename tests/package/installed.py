"""Installs the .deb in a Debian root of its own, upgrades, removes and purges it; as root, by hand.

python -m tests.package.installed [DEB] [--root-tar FILE]: some two minutes, and a network for
mmdebstrap unless the file is there. DEB is for this machine: `make deb ARCH=amd64` on a desk.
Where qemu-user is registered with the kernel (binfmt), one for another machine works, too.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.package import sbom
from tests.package.known import strangers

DIST = Path(__file__).parents[2] / "dist"
TOOLS = {"mmdebstrap": "mmdebstrap", "dpkg-deb": "dpkg", "unshare": "util-linux", "tar": "tar"}
NEEDED = "systemd,udev,python3,openssl,init-system-helpers"
# what needs what is all there, in versions that suit
SUITS = """
import importlib.metadata as m, packaging.requirements as r
for d in m.distributions():
    for need in map(r.Requirement, d.requires or ()):
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            assert need.specifier.contains(m.version(need.name)), (d.name, str(need))
"""
# stands where systemd's tools are asked: tells what they were asked
TELLS = """#!/bin/sh
echo "${0##*/} $*" >>/root/asked
"""
COMPLETES = """. /usr/share/bash-completion/completions/kerbstone
COMP_WORDS=(kerbstone ""); COMP_CWORD=1; _kerbstone; echo "${COMPREPLY[@]}"
"""
MODEL_PAGE = "man5/kerbstone-site.toml.5.gz"
EXAMPLE = "/usr/share/doc/kerbstone/examples/site.toml"
STATE = ("var/lib/kerbstone/outbox", "var/lib/kerbstone-identity/key", "etc/kerbstone/site.toml")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class InstalledRoot:
    """A root with its own processes, as far as a chroot has them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *command: str) -> str:
        own = ("unshare", "--fork", "--pid", "--mount", f"--mount-proc={self.root / 'proc'}")
        words = ("PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
        frontend = "DEBIAN_FRONTEND=noninteractive"
        return run(*own, "chroot", self.root, "env", "-i", *words, frontend, *command)

    def install(self, deb: Path) -> str:
        shutil.copy(deb, self.root / "root" / deb.name)
        return self("dpkg", "--install", f"/root/{deb.name}")

    def users(self) -> set[str]:
        lines = (self.root / "etc/passwd").read_text().splitlines()
        return {name for line in lines if (name := line.partition(":")[0]).startswith("kerbstone")}

    def slots(self) -> list[str]:
        return sorted(path.name for path in (self.root / "opt/kerbstone/slots").glob("*"))

    def wanted(self) -> set[str]:
        links = (self.root / "etc/systemd/system").glob("*.wants/kerbstone*")
        return {path.name for path in links}

    def asked(self) -> list[str]:
        """What systemd was asked since the last time."""
        path = self.root / "root/asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def state(self) -> list[str]:
        return [name for name in STATE if (self.root / name).exists()]


def newer(deb: Path, folder: Path) -> Path:
    """The same content as another version."""
    tree = folder / "newer"
    run("dpkg-deb", "--raw-extract", deb, tree)
    old = (tree / "opt/kerbstone/venv").readlink().name
    new = f"{old}.post1"
    (tree / "opt/kerbstone/slots" / old).rename(tree / "opt/kerbstone/slots" / new)
    (tree / "opt/kerbstone/venv").unlink()
    (tree / "opt/kerbstone/venv").symlink_to(f"slots/{new}")
    for path in [*(tree / "DEBIAN").iterdir(), *tree.glob("opt/kerbstone/slots/*/bin/kerbstone*")]:
        text = path.read_text().replace(f"slots/{old}", f"slots/{new}")
        path.write_text(text.replace(f"\nVersion: {old}\n", f"\nVersion: {new}\n"))
    # two commands have another interpreter in their first line now
    lines = (tree / "DEBIAN/md5sums").read_text().splitlines(keepends=True)
    (tree / "DEBIAN/md5sums").write_text("".join(x for x in lines if "/bin/kerbstone" not in x))
    out = folder / "newer.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, out)
    shutil.rmtree(tree)
    return out


def same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        sys.exit(f"FAILED {what}: {found!r}, not {wanted!r}")
    print(f"ok  {what}")


def story(box: InstalledRoot, deb: Path, later: Path) -> None:
    """All that happens to a package in its life."""
    both = {"kerbstone", "kerbstone-link"}
    box.install(deb)
    (version,) = box.slots()
    slots = box.root / "opt/kerbstone/slots"
    same("it runs", box("kerbstone", "--version").strip(), f"kerbstone {version}")
    same("it checks the example", "in order" in box("kerbstone", "check", EXAMPLE), True)
    pages = box("sh", "-c", "cd /usr/share/man && ls man1/kerbstone*.gz man5/kerbstone*.gz").split()
    same("it has its manual", {"man1/kerbstone-doctor.1.gz", MODEL_PAGE} <= set(pages), True)
    words = box("bash", "-c", COMPLETES).split()
    same("and completion in bash", {"doctor", "status"} <= set(words), True)
    zsh = (box.root / "usr/share/zsh/vendor-completions/_kerbstone").read_text()
    same("and in zsh", zsh.startswith("#compdef kerbstone\n"), True)
    native = "import onnxruntime, numpy, cryptography.x509, msgspec, msgpack, gpiod, jeepney"
    box("/opt/kerbstone/venv/bin/python", "-c", native)
    box("/opt/kerbstone/venv/bin/python", "-m", "edge.link", "--help")
    box("/opt/kerbstone/venv/bin/python", "-c", SUITS)
    same("native modules load and nothing was written beside them", box("dpkg", "--verify"), "")
    same("each file belongs to a component", strangers(slots / version), set())
    parts = json.loads(sbom.of_root(box.root, 0))["components"]
    there = box("dpkg-query", "--show").splitlines()
    debian = [part for part in parts if part["purl"].startswith("pkg:deb/")]
    same("the SBOM has each other package of Debian", len(debian), len(there) - 1)
    same("it has its users", box.users(), both)
    result = box("stat", "-c", "%U:%G %a", "/etc/kerbstone", "/var/lib/kerbstone-identity")
    same("and its folders", result.split("\n")[:2], ["root:kerbstone 750", "root:root 700"])
    units = box.wanted()
    same("its units are on", {"kerbstone.service", "kerbstone-enrol.service"} <= units, True)
    box.install(deb)
    same("installing twice changes nothing", (box.users(), box.wanted()), (both, units))

    for name in STATE:
        (box.root / name).write_text("kept")
    box("chgrp", "kerbstone", "/etc/kerbstone/site.toml")
    box("systemctl", "disable", "kerbstone-link.service")
    box.install(later)
    same("an upgrade replaces the slot", box.slots(), [f"{version}.post1"])
    same("and the one that is used", box("kerbstone", "--version").split()[0], "kerbstone")
    same("and leaves the state", box.state(), list(STATE))
    same("and what was switched off", box.wanted(), units - {"kerbstone-link.service"})

    (slots / f"{version}.post1" / "stray.pyc").write_text("")
    box("dpkg", "--remove", "kerbstone")
    same("removing leaves no program", (box.root / "opt/kerbstone").exists(), False)
    same("but state and users", (box.state(), box.users()), (list(STATE), both))
    box("dpkg", "--purge", "kerbstone")
    same("purging leaves the site's file", box.state(), ["etc/kerbstone/site.toml"])
    owner = box("stat", "-c", "%U:%G", "/etc/kerbstone/site.toml").strip()
    same("which belongs to root only", owner, "root:root")
    same("no users, no links", (box.users(), box.wanted()), (set(), set()))

    (box.root / "opt/kerbstone/venv/bin").mkdir(parents=True)
    box.install(deb)
    same(
        "a hand-made environment is kept",
        (box.root / "opt/kerbstone/venv.by-hand/bin").is_dir(),
        True,
    )
    same("and not used", (box.root / "opt/kerbstone/venv").is_symlink(), True)


def running(box: InstalledRoot, deb: Path, later: Path) -> None:
    """The same where systemd runs, as far as it is asked."""
    box("dpkg", "--purge", "kerbstone")
    shutil.rmtree(box.root / "etc/kerbstone")
    (box.root / "run/systemd/system").mkdir(parents=True)
    for name in ("systemctl", "deb-systemd-invoke"):
        (box.root / "usr/local/sbin" / name).write_text(TELLS)
        (box.root / "usr/local/sbin" / name).chmod(0o755)
    kept = box.root / "opt/kerbstone/venv.by-hand"
    shutil.rmtree(kept, ignore_errors=True)
    out = box.install(deb)
    asked = box.asked()
    same("without a site the daemon is not started", "kerbstone: no site yet" in out, True)
    same(
        "but what may wait for one",
        "deb-systemd-invoke start kerbstone-enrol.service" in asked,
        True,
    )
    same("and not it itself", any("start kerbstone.service" in line for line in asked), False)
    same(
        "nor what is for the early boot",
        any("invoke" in line and "-network" in line for line in asked),
        False,
    )
    same("systemd learns of the watchdog", "systemctl --system daemon-reexec" in asked, True)
    (box.root / "etc/kerbstone").mkdir(exist_ok=True)
    (box.root / "etc/kerbstone/site.toml").write_text("")
    box.install(later)
    asked = box.asked()
    result = [line for line in asked if "reload" in line or line.endswith("t kerbstone.service")]
    wanted = ["systemctl --system daemon-reload", "deb-systemd-invoke restart kerbstone.service"]
    same("an upgrade reloads, then restarts the daemon", result[-2:], wanted)
    box("dpkg", "--remove", "kerbstone")
    stopped = [line.split()[-1] for line in box.asked() if " stop " in line]
    same("removing stops timers first", stopped[0].endswith(".timer"), True)
    same("and the daemon", "kerbstone.service" in stopped, True)


def newest(parser: argparse.ArgumentParser) -> Path:
    """Of those for this machine."""
    arch = run("dpkg", "--print-architecture").strip()
    found = sorted(DIST.glob(f"kerbstone_*_{arch}.deb"), key=lambda path: path.stat().st_mtime)
    if not found:
        parser.error(f"no package is in {DIST}: make deb ARCH={arch}")
    return found[-1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.package.installed", description=__doc__)
    parser.add_argument("deb", type=Path, nargs="?", help="default: the newest of dist/, for here")
    parser.add_argument("--root-tar", type=Path, help="made by mmdebstrap if it is not there")
    options = parser.parse_args()
    if missing := [package for tool, package in TOOLS.items() if shutil.which(tool) is None]:
        parser.error(f"tools are missing: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        parser.error("only root makes a root of Debian and goes into it")
    options.deb = options.deb or newest(parser)
    with tempfile.TemporaryDirectory(prefix="kerbstone-box-") as place:
        folder = Path(place)
        tar: Path = options.root_tar or folder / "root.tar"
        if not tar.exists():
            print("making a root of Debian 13")
            arch = run("dpkg-deb", "--field", options.deb, "Architecture").strip()
            kind = ("--variant=minbase", f"--architectures={arch}", f"--include={NEEDED}")
            run("mmdebstrap", *kind, "trixie", tar)
        root = folder / "root"
        root.mkdir()
        run("tar", "-C", root, "-xf", tar)
        later = newer(options.deb, folder)
        story(InstalledRoot(root), options.deb, later)
        running(InstalledRoot(root), options.deb, later)


if __name__ == "__main__":
    main()
