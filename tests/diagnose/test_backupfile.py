"""A backup is read only if it is whole, of a version that is known, and leads nowhere else."""

import gzip
import io
import random
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest

from edge.diagnose.backupfile import (
    BackupFileError,
    BackupHead,
    BackupPart,
    BackupReader,
    BackupSource,
    write_backup,
)
from tests.long import one_in

PARTS = {
    "state/outbox.db": random.Random(1).randbytes(70_001),
    "state/epochs": b"e",
    "config/site.toml": b"",
}
HEAD = BackupHead(
    v=1, backup="0123456789abcdef", software="0.3.0", at="2026-12-01T08:00:00.000Z", site="town",
    gateway="gw-1", last=True, by="anna", parts=[BackupPart(n, len(d)) for n, d in PARTS.items()],
)  # fmt: skip


def sources(parts: dict[str, bytes]) -> list[BackupSource]:
    def source(name: str, data: bytes) -> BackupSource:
        return BackupSource(BackupPart(name, len(data)), lambda: io.BytesIO(data))

    return [source(name, data) for name, data in parts.items()]


def written(head: BackupHead = HEAD, parts: dict[str, bytes] = PARTS) -> bytes:
    out = io.BytesIO()
    write_backup(out, head, sources(parts), lambda name, done: None, lambda: None)
    return out.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    reader = BackupReader(io.BytesIO(data))
    return {part.name: b"".join(pieces) for part, pieces in reader.parts()}


def plain(data: bytes) -> bytes:
    return gzip.decompress(data)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read(written()) == PARTS
    assert BackupReader(io.BytesIO(written())).head == HEAD


def test_tar_and_sha256sum_know_it_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(written())
    subprocess.run(["tar", "xzf", "file"], cwd=tmp_path, check=True)
    assert (tmp_path / "state" / "outbox.db").read_bytes() == PARTS["state/outbox.db"]
    said = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.count(": OK") == len(PARTS) + 1


@one_in(7)
@pytest.mark.parametrize("at", range(0, 2000, 13))
def test_each_flipped_byte_is_found(at: int) -> None:
    data = bytearray(plain(written()))
    data[at * len(data) // 2000] ^= 0x41
    packed = gzip.compress(bytes(data), 1)
    try:
        found = read(packed)
    except BackupFileError:
        return
    assert found == PARTS, "a byte of padding, or of the end"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.9, 0.98])
def test_each_cut_is_found(share: float) -> None:
    whole = written()
    with pytest.raises(BackupFileError, match=r"damaged|not whole|no backup"):
        read(whole[: int(len(whole) * share)])
    body = plain(whole)
    with pytest.raises(BackupFileError, match=r"damaged|not whole|no backup"):
        read(gzip.compress(body[: int(len(body) * share * 0.87)]))


def test_who_cannot_vouch_for_a_copy_leaves_it_without_an_end() -> None:
    out = io.BytesIO()

    def changed() -> None:
        raise RuntimeError("it changed")

    with pytest.raises(RuntimeError):
        write_backup(out, HEAD, sources(PARTS), lambda name, done: None, changed)
    with pytest.raises(BackupFileError, match="not whole"):
        read(out.getvalue())


def test_a_file_that_becomes_shorter_is_no_backup() -> None:
    source = BackupSource(BackupPart("state/epochs", 10), lambda: io.BytesIO(b"short"))
    with pytest.raises(BackupFileError, match="became shorter"):
        write_backup(io.BytesIO(), HEAD, [source], lambda name, done: None, lambda: None)


def test_another_version_is_named() -> None:
    with pytest.raises(BackupFileError, match="version 2, and this program knows 1"):
        read(written(msgspec.structs.replace(HEAD, v=2)))


@pytest.mark.parametrize("name", [
    "../etc/passwd", "/etc/passwd", "state/../x", "state/.hidden", "state/a/b", "other/x",
    "state/", "state/" + "n" * 95,
])  # fmt: skip
def test_a_part_that_leads_elsewhere_is_refused(name: str) -> None:
    head = msgspec.structs.replace(HEAD, parts=[BackupPart(name, 1)])
    with pytest.raises(BackupFileError, match="it has a part"):
        read(written(head, {}))


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"5", b"6", b"L", b"x"])
def test_a_link_a_device_and_an_extended_head_are_no_parts(kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("backup.json")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(BackupFileError):
        read(gzip.compress(out.getvalue()))


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"\x1f\x8b", gzip.compress(b"", mtime=0), gzip.compress(b"x" * 600, mtime=0)],
    ids=["nothing", "a letter", "a beginning", "packed nothing", "packed letters"],
)
def test_what_is_no_backup_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BackupFileError):
        read(data)


@pytest.mark.parametrize("head", [b"[]", b"{}", b"null", b"[" * 60_000, b'{"v":1}', b"\xff"])
def test_a_head_that_is_none_is_damage(head: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("backup.json")
        entry.size = len(head)
        archive.addfile(entry, io.BytesIO(head))
    with pytest.raises(BackupFileError):
        read(gzip.compress(out.getvalue()))


def test_more_bytes_than_the_head_announces_are_not_taken() -> None:
    head = msgspec.structs.replace(HEAD, parts=[BackupPart("state/epochs", 1)])
    with pytest.raises(BackupFileError, match="damaged"):
        read(written(head, {"state/epochs": b"e" * 10_000_000}))
