"""What a developer or the operator needs to see of a box that troubles somebody: one archive.

Each item is asked for by itself, with a limit of time and of bytes. What cannot be had (no right,
no such program, no daemon) is a line in the archive's list, and the others are there. Secrets are
taken out of each before it is written (`redaction`); no file that holds nothing else is read into
it. Nothing is sent on a wire or to the network but what `kerbstone doctor` sends.
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import IO, Final, cast

from edge.core.boxfiles import OWN_SITE_FILE, SIGNED_SITE_FILE
from edge.core.ownpython import own_command, own_environment
from edge.core.tomltext import parse_toml
from edge.diagnose import siteextract
from edge.diagnose.redaction import (
    CLAIM_WORDS,
    SECRET_WORDS,
    Redactor,
    assigned_secrets,
    key_lines,
    key_secrets,
    named_secrets,
    told_secrets,
)
from edge.durable.readfile import read_beginning, read_file

ITEM_LIMIT: Final = 4 << 20  # bytes; of what is longer the end is kept, it is the newest
COMMAND_S: Final = 20.0
DOCTOR_S: Final = 300.0  # where no daemon runs it reads all wires
LOG_LINES: Final = "20000"
KERNEL_LINES: Final = "1000"
UNITS: Final = "kerbstone*"
CUT: Final = b"[the beginning is left out]\n"
WORDS_LIMIT: Final = 2000  # bytes of what a program complains of
VERB_CODES: Final = (0, 1, 2, 3)  # a finding is what we want
PROGRAM_CODES: Final = (0, 3)  # systemctl: a unit is off
LIST_NAME: Final = "README.txt"


class ItemError(Exception):
    """It could not be had; the text says why."""


@dataclass(frozen=True, slots=True)
class SupportItem:
    """A file of the archive. `read` raises ItemError or OSError. `words`: names that mean a secret
    in it, see `redaction`."""

    name: str
    what: str
    read: Callable[[], bytes]
    words: str = SECRET_WORDS


@dataclass(frozen=True, slots=True)
class BoxPlaces:
    """Where a box keeps what is looked at."""

    site_file: Path
    identity: Path = SIGNED_SITE_FILE.parent
    settings: Path = OWN_SITE_FILE.parent
    boot: Path = Path("/boot/firmware")
    profiles: Path = Path("/run/NetworkManager/system-connections")
    units: Path = Path("/etc/systemd/system")  # an operator's drop-ins: Environment=


def support_items(places: BoxPlaces, limit_s: float = COMMAND_S) -> Iterator[SupportItem]:
    """All of a box, what tells most first. A program has `limit_s`, doctor more."""
    site = str(places.site_file)
    command = partial(_command, limit_s)
    verb = partial(_verb, limit_s)
    asked = ["--config", site, "--json"]
    yield verb("status.json", "the daemon's own page, with the open issues", "status", *asked)
    yield _verb(
        DOCTOR_S, "doctor.json", "what is wrong with wires, devices and the way to the city",
        "doctor", *asked,
    )  # fmt: skip
    yield verb("values.json", "last values, lanes and contacts", "read", "--all", *asked)
    yield verb("outbox.json", "what waits for the city", "outbox", *asked)
    yield verb("check.txt", "what `kerbstone check` says of the site file", "check", site)
    yield verb("models.txt", "the models of this box", "models", "list")
    yield SupportItem(
        "site.toml", "the site file; remarks (what stands behind #) are left out",
        lambda: siteextract.without_remarks(_text(places.site_file)),
    )  # fmt: skip
    yield SupportItem("versions.txt", "kernel, machine and Python packages", _versions)
    yield command(
        "log.txt", "the log of all units of Kerbstone",
        "journalctl", "--unit", UNITS, "--lines", LOG_LINES, *JOURNAL,
    )  # fmt: skip
    yield command(
        "kernel.txt", "messages of the kernel",
        "journalctl", "--dmesg", "--lines", KERNEL_LINES, *JOURNAL,
    )  # fmt: skip
    yield command(
        "units.txt", "the state of the units", "systemctl", "status", UNITS, "--all",
        "--no-pager", "--full", "--lines", "0",
    )  # fmt: skip
    for name, what, *words in COMMANDS:
        yield command(name, what, *words)
    for each in PROC_FILES:
        file = Path("/proc") / each
        yield SupportItem(f"proc/{each.replace('/', '-')}.txt", str(file), partial(_text, file))
    yield SupportItem("files.txt", "names, sizes and rights of our files", lambda: _listing(places))
    yield SupportItem(
        "kerbstone-status.txt", "the page of enrolment",
        lambda: _text(places.boot / "kerbstone-status.txt"),
    )  # fmt: skip
    yield SupportItem(
        "certificate.pem", "the certificate of this box; the key is not in the archive",
        lambda: _text(places.identity / "current" / "cert.pem"),
    )  # fmt: skip


JOURNAL: Final = ("--no-pager", "--output", "short-iso-precise", "--quiet")
COMMANDS: Final = (
    ("clock.txt", "the clock, as systemd sees it", "timedatectl", "show"),
    ("chrony.txt", "the clock, as chrony sees it", "chronyc", "-n", "tracking"),
    ("addresses.txt", "addresses of the network", "ip", "address"),
    ("routes.txt", "routes of the network", "ip", "route", "show", "table", "all"),
    ("names.txt", "name servers", "resolvectl", "status", "--no-pager"),
    ("links.txt", "devices of the network", "nmcli", "--terse", "device", "show"),
    ("modem.txt", "the modem", "mmcli", "--modem", "any"),
    ("disks.txt", "room on the disks", "df", "--human-readable", "--print-type"),
    ("blocks.txt", "disks and partitions", "lsblk", "--output-all", "--pairs"),
    ("usb.txt", "devices on USB", "lsusb"),
    ("gpio.txt", "lines of the GPIO chips, and who holds them", "gpioinfo"),
    ("power.txt", "what the firmware says of the supply", "vcgencmd", "get_throttled"),
    ("processes.txt", "processes, by memory", "ps", "-e", "--sort=-rss",
     "-o", "pid,user,rss,pcpu,etime,stat,comm"),
)  # fmt: skip
PROC_FILES: Final = (
    "meminfo", "loadavg", "uptime", "mounts", "interrupts", "pressure/io", "pressure/cpu",
    "pressure/memory", "device-tree/model", "cpuinfo",
)  # fmt: skip


def box_secrets(places: BoxPlaces) -> set[bytes]:
    """The secrets of this box that we may read; what we may not read is in no item either."""
    found: set[bytes] = set()
    site = _readable(places.site_file)
    found |= assigned_secrets(site)
    try:
        table = parse_toml(site.decode())
    except ValueError:
        table = {}
    found |= named_secrets(table) | told_secrets(table) | siteextract.user_secrets(table)
    uplink = table.get("uplink")
    for key in ("password_file", "key"):
        if isinstance(uplink, Mapping) and isinstance(uplink.get(key), str):
            data = _readable(Path(uplink[key]))
            found |= key_lines(data)
            if key == "password_file":
                found |= {data.strip(b"\r\n")}
    drop_ins = places.units.glob("kerbstone*.d")
    for file in _files(places.identity, places.settings, places.profiles, *drop_ins):
        data = _readable(file)
        found |= key_secrets(data) | assigned_secrets(data, CLAIM_WORDS)
    found |= {_readable(places.identity / "login.secret").strip()}
    for file in (*places.boot.glob("kerbstone-claim*"), *places.boot.glob("kerbstone-access*")):
        found |= assigned_secrets(_readable(file), CLAIM_WORDS)
    return found - {b""}


@dataclass(frozen=True, slots=True)
class WrittenItem:
    """A line of the archive's list. `problem` is empty where the item is there."""

    item: SupportItem
    bytes: int
    problem: str
    removed: int  # places where a secret stood


def write_archive(
    out: IO[bytes],
    folder: str,
    items: Iterable[SupportItem],
    redactor: Redactor,
    now_s: int,
    head: str,
    shown: Callable[[SupportItem], object] = lambda item: None,
) -> list[WrittenItem]:
    """A gzipped tar of one folder. `shown` is told of each item before it is asked for. Raises
    OSError where it cannot be written."""
    written = []
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, data: bytes) -> None:
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), now_s, 0o600
            archive.addfile(entry, io.BytesIO(data))

        for item in items:
            shown(item)
            before = redactor.removed
            data, problem = b"", ""
            try:
                data = redactor.redact(item.read(), item.words)
            except ItemError as error:
                problem = " ".join(redactor.redact(str(error).encode()).decode().split())
            except OSError as error:
                problem = error.strerror or str(error)
            if len(data) > ITEM_LIMIT:
                data = CUT + data[-ITEM_LIMIT:].partition(b"\n")[2]
            if not problem:
                add(item.name, data)
            written.append(WrittenItem(item, len(data), problem, redactor.removed - before))
        add(LIST_NAME, _list(head, written).encode())
    return written


def _list(head: str, written: Iterable[WrittenItem]) -> str:
    rows = [head, ""]
    for each in written:
        removed = f"; {each.removed} places with secrets emptied" if each.removed else ""
        state = f"not there: {each.problem}" if each.problem else f"{each.bytes} bytes{removed}"
        rows.append(f"{each.item.name:<22} {each.item.what}: {state}")
    return "\n".join(rows) + "\n"


def _verb(limit_s: float, name: str, what: str, *words: str) -> SupportItem:
    """A command of ours, in a process of its own: one that hangs or fails costs only its item."""
    program = tuple(own_command("-m", "edge.cli.main", *words))
    return SupportItem(name, what, lambda: _run(program, limit_s, VERB_CODES))


def _command(limit_s: float, name: str, what: str, *words: str) -> SupportItem:
    """What a program says."""
    return SupportItem(name, what, lambda: _run(words, limit_s, PROGRAM_CODES))


def _run(words: tuple[str, ...], limit_s: float, codes: tuple[int, ...]) -> bytes:
    environment = {**own_environment(), "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
    with tempfile.TemporaryFile() as errors:
        try:
            program = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env=environment,
            )  # fmt: skip
        except OSError as error:
            raise ItemError(f"{words[0]}: {error.strerror}") from None
        late = threading.Event()

        def end() -> None:
            late.set()
            program.kill()

        timer = threading.Timer(limit_s, end)
        timer.start()
        with program:
            try:
                said = _end_of(cast("IO[bytes]", program.stdout))
            except BaseException:
                program.kill()
                raise
            finally:
                timer.cancel()
        if late.is_set():
            raise ItemError(f"no answer within {limit_s:g} s")
        errors.seek(0)
        complaint = errors.read(WORDS_LIMIT).strip()
    if program.returncode not in codes:
        text = complaint.decode("utf-8", "replace")
        raise ItemError(f"{Path(words[0]).name} ended with {program.returncode}: {text}")
    return said + (b"\n[it said: " + complaint + b"]\n" if complaint else b"")


def _end_of(stream: IO[bytes]) -> bytes:
    """All of it, or the end of what is longer than an item may be: a bounded memory."""
    kept, cut = bytearray(), False
    while piece := stream.read(1 << 16):
        kept += piece
        if len(kept) > 2 * ITEM_LIMIT:
            del kept[:-ITEM_LIMIT]
            cut = True
    # half a secret would not be known
    return CUT + bytes(kept).partition(b"\n")[2] if cut else bytes(kept)


def _text(file: Path) -> bytes:
    return read_beginning(file, ITEM_LIMIT)


def _readable(file: Path) -> bytes:
    try:
        return read_file(file) or b""
    except OSError:
        return b""


def _daemons(site_file: Path) -> tuple[Path, ...]:
    """The folders of the daemon: those of the site file, and where they are on every box."""
    try:
        store = parse_toml(_readable(site_file).decode()).get("store", {})
        named = [Path(str(store[key])) for key in ("dir", "run_dir") if key in store]
    except (ValueError, TypeError, AttributeError):
        named = []
    return (*named, Path("/var/lib/kerbstone"), Path("/run/kerbstone"))


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        for root, _, names in os.walk(folder):  # what we may not read is passed over
            yield from (Path(root) / name for name in names)


def _versions() -> bytes:
    rows = [
        f"python {sys.version}",
        " ".join(os.uname()),
        *sorted(f"{one.name}=={one.version}" for one in distributions()),
    ]
    rows.append(_readable(Path("/etc/os-release")).decode("utf-8", "replace"))
    return ("\n".join(rows) + "\n").encode()


def _listing(places: BoxPlaces) -> bytes:
    rows = []
    for file in sorted(_files(places.settings, places.identity, *_daemons(places.site_file))):
        try:
            found = file.lstat()
        except OSError as error:
            rows.append(f"{file}: {error.strerror}")
            continue
        rows.append(
            f"{found.st_mode:06o} {found.st_uid}:{found.st_gid} {found.st_size:>12} "
            f"{int(found.st_mtime)} {file}"
        )
    return ("\n".join(rows) + "\n").encode("utf-8", "backslashreplace")
