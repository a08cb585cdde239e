"""An archive whose bytes follow from its content alone."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write(out: Path, folder: str, files: Mapping[str, bytes | Path], moment: int) -> None:
    """Files by their path below `folder`, in order, owned by root; scripts (*.sh) may be run."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, body in sorted(files.items()):
            data = body if isinstance(body, bytes) else body.read_bytes()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            member.mtime = moment
            member.mode = 0o755 if name.endswith(".sh") else 0o644
            member.uname = member.gname = "root"
            archive.addfile(member, io.BytesIO(data))
    part.replace(out)
