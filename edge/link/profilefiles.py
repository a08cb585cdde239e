"""The files of a network profile, in folders that other programs read."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from edge.durable.atomicwrite import hidden_name, replace_file
from edge.link.profile import file_mode


def make_folder(root: Path, path: Path) -> None:
    """Make it, and what is missing above it, open for all to look into: NetworkManager's and
    chrony's own are so, whoever makes them first. What is there already stays as it is."""
    if path.is_dir():
        return
    if path != root:
        make_folder(root, path.parent)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)  # whatever the unit's umask


def sync_files(root: Path, wanted: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Make the files of `known` as `wanted` says, and remove the others of them. What changed."""
    changed: list[str] = []
    for name in known:
        path, text = root / name, wanted.get(name)
        old = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if text is None:
            if old is not None or path.is_symlink():
                path.unlink()
                changed.append(name)
            continue
        data, right = text.encode(), file_mode(name)
        if old == data and path.stat().st_mode & 0o777 == right:
            continue
        make_folder(root, path.parent)
        replace_file(path, data, right, new=hidden_name(path), exact_mode=True)
        changed.append(name)
    return changed
