"""Where each file of systemd/ goes to in a package. A file without a row stops the build."""

from fnmatch import fnmatchcase
from pathlib import Path

from deploy.package.errors import BuildError
from deploy.package.lock import ROOT

UNITS = ROOT / "systemd"
SYSTEM = "usr/lib/systemd/system"
# pattern to folder, or to a path where the name is another one; the first row that fits counts.
# All is below /usr: what an administrator writes below /etc under the same name replaces it
ROWS = (
    ("*.service", f"{SYSTEM}/"),
    ("*.timer", f"{SYSTEM}/"),
    ("*.path", f"{SYSTEM}/"),
    ("*.socket", f"{SYSTEM}/"),
    ("*.target", f"{SYSTEM}/"),
    ("*.mount", f"{SYSTEM}/"),
    ("*.d/*.conf", f"{SYSTEM}/"),
    ("kerbstone*.sysusers", "usr/lib/sysusers.d/{stem}.conf"),
    ("kerbstone*.tmpfiles", "usr/lib/tmpfiles.d/{stem}.conf"),
    ("kerbstone*.modules", "usr/lib/modules-load.d/{stem}.conf"),
    ("5[0-9]-*.rules", "usr/share/polkit-1/rules.d/"),
    ("[68][0-9]-*.rules", "usr/lib/udev/rules.d/"),
    ("*.link", "usr/lib/systemd/network/"),
    ("kerbstone*.modprobe", "usr/lib/modprobe.d/{stem}.conf"),
    ("watchdog.conf", "usr/lib/systemd/system.conf.d/kerbstone-watchdog.conf"),
)
PRESET = "usr/lib/systemd/system-preset/50-kerbstone.preset"


def place(name: str) -> str:
    """Where a file of systemd/ goes to, below /."""
    for pattern, goal in ROWS:
        if fnmatchcase(name, pattern):
            return goal + name if goal.endswith("/") else goal.format(stem=Path(name).stem)
    raise BuildError(
        f"systemd/{name} has no place in the package: add a row to deploy/package/places.py"
    )


def placed(folder: Path = UNITS) -> dict[str, bytes]:
    """Path below / to content, of all that is in the folder."""
    found: dict[str, bytes] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        goal = place(path.relative_to(folder).as_posix())
        if goal in found:
            raise BuildError(f"{path} and another one have the same place in the package, {goal}")
        found[goal] = path.read_bytes()
    return found


def has(unit: bytes, line: str) -> bool:
    """Whether a unit has exactly this line."""
    return line in unit.decode().splitlines()


def enabled(files: dict[str, bytes]) -> list[str]:
    """The units that are switched on: those that say for what."""
    return [
        Path(goal).name
        for goal, body in files.items()
        if goal.startswith(f"{SYSTEM}/") and has(body, "[Install]")
    ]


def started(files: dict[str, bytes]) -> list[str]:
    """Of these, those that start with the package; those of the early boot wait for it."""
    early = "DefaultDependencies=no"
    return [unit for unit in enabled(files) if not has(files[f"{SYSTEM}/{unit}"], early)]


def preset(files: dict[str, bytes]) -> bytes:
    """The same for `systemctl preset`, and for a first boot with an empty /etc."""
    head = "# Written by deploy/package: the units that have an [Install] section.\n"
    return (head + "".join(f"enable {unit}\n" for unit in enabled(files))).encode()
