"""Wheels of a few hundred bytes, made here; the slots in these tests consist of them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from deploy.package.wheel import digest

METADATA = "Metadata-Version: 2.4\nName: {}\nVersion: {}\nLicense-Expression: MIT\n{}"


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str],
    *,
    tag: str = "py3-none-any",
    more: str = "",
    commands: str = "",
) -> Path:
    """A good one."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": METADATA.format(name, version, more),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if commands:
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{commands}\n"
    rows = [f"{path},{digest(body.encode())},{len(body)}" for path, body in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"])
    return packed(folder / f"{name}-{version}-{tag}.whl", content)


def packed(path: Path, content: Mapping[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in content.items():
            archive.writestr(zipfile.ZipInfo(name), body)
    return path


def pair(folder: Path) -> list[Path]:
    """A library, and a kerbstone that needs it; as a lock has them, our own last."""
    lib = wheel(
        folder, "lamp", "1.0", {"lamp.py": "LIT = 'lit'\n", "lamp-1.0.data/scripts/x": "#!"}
    )
    body = "from lamp import LIT\n\n\ndef main() -> None:\n    print('kerbstone', LIT)\n"
    own = wheel(
        folder,
        "kerbstone",
        "0.1.0",
        {"edge/__init__.py": "", "edge/cli.py": body},
        more="Requires-Dist: lamp>=1; extra == 'light'\n",
        commands="kerbstone = edge.cli:main",
    )
    return [lib, own]
