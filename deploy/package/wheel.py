"""A wheel: what it says of itself, and its files, checked against its own list."""

import base64
import csv
import email
import hashlib
import io
import stat
import zipfile
import zlib
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath

from packaging.utils import parse_wheel_filename

from deploy.package.errors import BuildError

LARGEST = 512 * 1024 * 1024  # unpacked; the largest that we know has 50 MB
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True)
class Wheel:
    """The files as they are to lie in site-packages, by path."""

    name: str
    version: str
    info: str
    files: dict[str, bytes]
    left_out: tuple[str, ...]

    @property
    def metadata(self) -> Message:
        return email.message_from_bytes(self.files[f"{self.info}/METADATA"])

    @property
    def scripts(self) -> str:
        return self.files.get(f"{self.info}/entry_points.txt", b"").decode()


def digest(data: bytes) -> str:
    """As RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def listed(record: str) -> dict[str, str]:
    """Path to hash, of a RECORD."""
    return {row[0]: row[1] for row in csv.reader(io.StringIO(record)) if len(row) == 3}


def safe(name: str) -> bool:
    """Whether a path stays below the folder that it is unpacked to."""
    path = PurePosixPath(name)
    odd = any(ord(character) < 32 or character == "\\" for character in name)
    return not (odd or path.is_absolute() or ".." in path.parts or str(path) != name)


def placed(name: str, data: str) -> str | None:
    """Where a file of a wheel goes to; None: programs, headers and papers, which no box needs."""
    if not name.startswith(f"{data}/"):
        return name
    kind, _, rest = name.removeprefix(f"{data}/").partition("/")
    return rest if kind in ("purelib", "platlib") else None


def read(path: Path) -> Wheel:
    """A wheel whose files are all those that its list names, with the hashes that it names."""
    name, version, _, _ = parse_wheel_filename(path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > LARGEST:
                raise BuildError(f"{path}: more than {LARGEST} bytes when unpacked")
            for member in members:
                if not safe(member.filename) or stat.S_ISLNK(member.external_attr >> 16):
                    raise BuildError(f"{path}: {member.filename!r} is no plain file inside of it")
            content = {member.filename: archive.read(member) for member in members}
    except DAMAGED as error:
        raise BuildError(f"{path} is no wheel: {error}. Delete it, try again") from error
    infos = [n for n in content if n.endswith(".dist-info/METADATA") and n.count("/") == 1]
    if len(infos) != 1:
        raise BuildError(f"{path} is no wheel: it has {len(infos)} METADATA")
    info = infos[0].removesuffix("/METADATA")
    checked(path, info, content)
    data = info.removesuffix(".dist-info") + ".data"
    files: dict[str, bytes] = {}
    left_out = []
    for name_there, body in sorted(content.items()):
        target = placed(name_there, data)
        if target is None:
            left_out.append(name_there)
        elif PurePosixPath(target).name not in UNSIGNED or not target.startswith(info):
            files[target] = body
    return Wheel(str(name), str(version), info, files, tuple(left_out))


def checked(path: Path, info: str, content: dict[str, bytes]) -> None:
    """Compares all files with the wheel's own list."""
    names = listed(content.get(f"{info}/RECORD", b"").decode())
    for name, body in content.items():
        if PurePosixPath(name).name in UNSIGNED and name.startswith(info):
            continue
        if names.get(name) != digest(body):
            raise BuildError(f"{path}: {name} is not as its list says. Delete it, try again")


def record(wheel: Wheel, more: dict[str, bytes]) -> bytes:
    """RECORD as it is after installation: what was installed, and `more`."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    for name, body in sorted({**wheel.files, **more}.items()):
        rows.writerow((name, digest(body), len(body)))
    rows.writerow((f"{wheel.info}/RECORD", "", ""))
    return out.getvalue().encode()
