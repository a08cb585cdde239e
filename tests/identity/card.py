"""What lies on a box's card, in its two folders, and what must not."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.identity.claim import CLAIM_NAME, ClaimError, parse_claim
from edge.identity.statefolder import StateFolder

MAY: Final = frozenset(
    {
        "current",
        "config.json",
        "site.toml",
        "site.before.toml",
        "network.json",
        "floor",
        "login.secret",
        "access-point.json",
    }
)


def tree(root: Path) -> Mapping[str, bytes]:
    return {
        str(each.relative_to(root)): each.read_bytes()
        for each in root.rglob("*")
        if each.is_file() and not each.is_symlink()
    }


def everything(root: Path) -> bytes:
    """All bytes of the card."""
    return b"\n".join(data for _, data in sorted(tree(root).items()))


def usable(root: Path) -> str:
    """Which of the two works, right after the power came back: `identity`, `claim`, or neither."""
    if StateFolder(root / "state").current() is not None:
        return "identity"
    for path in (root / "boot" / CLAIM_NAME, root / "state" / "claim.toml"):
        try:
            parse_claim(path.read_bytes())
        except (OSError, ClaimError):
            continue
        return "claim"
    return ""


def wrong(root: Path, code: str, older: bool = False) -> list[str]:
    """What the card of an enrolled box must not look like; `code` is the one of its claim.

    `older`: bundles beside the current one are right.
    """
    state, found = root / "state", []
    bundle = StateFolder(state).current()
    if bundle is None:
        return ["no identity"]
    names = {each.name for each in state.iterdir()}
    beside = {f"bundle-{number}" for number in StateFolder(state).numbers()} if older else set()
    if extra := names - MAY - beside - {bundle.folder.name}:
        found.append(f"left over: {extra}")
    if not {"config.json", "site.toml"} <= names:
        found.append("no configuration")
    if code.encode() in everything(root):
        found.append("the claim's code is still there")
    if (root / "boot" / CLAIM_NAME).exists():
        found.append("the claim is still there")
    for each in (state, *state.rglob("*")):
        if not each.is_symlink() and each.stat().st_mode & 0o077:
            found.append(f"others may read {each.name}")
    return found


def copied(old: Path, new: Path) -> Path:
    """The same card once more."""
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(old, new, symlinks=True)
    return new
