"""What all is made of, as CycloneDX 1.6.

python -m deploy.package.sbom: the Python distributions that a slot of this checkout has.
With --root: all of a Debian system that has the .deb installed: its packages, and the same.
Same inputs, same bytes: the time is that of the commit, the serial number comes from the content.
"""

import argparse
import hashlib
import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.package import control, dpkg, fetch, lock, project, slot, wheel
from deploy.package.errors import BuildError, ended
from deploy.package.licences import LIST, policy
from deploy.package.target import Target

INSTALLED = Path("usr/share/kerbstone/sbom.cdx.json")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """Components by their reference, and which needs which."""

    components: Sequence[Json]
    needs: dict[str, list[str]]


def purl(kind: str, name: str, version: str, more: str = "") -> str:
    """A package URL."""
    # ":" stays as it is in a package URL, see its specification
    return f"pkg:{kind}/{quote(name, safe='')}@{quote(version, safe=':')}{more}"


def reference(found: wheel.Wheel) -> str:
    """Our own is at no index."""
    return purl("generic" if found.name == "kerbstone" else "pypi", found.name, found.version)


def licences(found: wheel.Wheel) -> list[Json]:
    if expression := found.metadata.get("License-Expression"):
        return [{"expression": str(expression)}]
    return [{"license": {"name": control.licence(found)}}]


def required(found: wheel.Wheel, target: Target) -> set[str]:
    """Names of what a distribution asks for; with all its extras if it is our own."""
    names = set()
    for line in found.metadata.get_all("Requires-Dist", []):
        need = Requirement(line)
        own = found.name == "kerbstone"
        if own or need.marker is None or target.takes(str(need.marker)):
            names.add(str(canonicalize_name(need.name)))
    return names


def of_wheels(paths: Sequence[Path], wheels: Sequence[wheel.Wheel], target: Target) -> Parts:
    """One component for each distribution, with the hash of the wheel that the lock names."""
    by_name = {found.name: reference(found) for found in wheels}
    components = []
    for path, found in zip(paths, wheels, strict=True):
        own = found.name == "kerbstone"
        components.append(
            {
                "type": "application" if own else "library",
                "bom-ref": reference(found),
                "name": found.name,
                "version": found.version,
                "description": str(found.metadata.get("Summary") or ""),
                "hashes": [{"alg": "SHA-256", "content": fetch.sha256(path)}],
                "licenses": licences(found),
                "purl": reference(found),
                "properties": [{"name": "kerbstone:wheel", "value": path.name}],
            }
        )
    needs = {
        by_name[found.name]: sorted(by_name[n] for n in required(found, target) if n in by_name)
        for found in wheels
    }
    components += [each for found in wheels for each in of_vendored(found)]
    return Parts(components, needs)


def of_vendored(found: wheel.Wheel) -> list[Json]:
    """What of somebody else lies in our own wheel."""
    rules = policy(LIST.read_text(encoding="utf-8"))
    return [
        {
            "type": "library",
            "bom-ref": each.purl,
            "name": name,
            "version": each.version,
            "description": each.reason,
            "licenses": [{"license": {"id": each.licence}}],
            "purl": each.purl,
            "properties": [{"name": "kerbstone:folder", "value": each.folder}],
        }
        for name, each in rules.vendored.items()
        if all(f"{each.folder}/{file}" in found.files for file in each.files)
    ]


def of_debian(packages: Sequence[dpkg.Package], distribution: str) -> Parts:
    """One component for each installed package, except ours, which the slot tells better."""
    components = []
    for package in packages:
        if package.name == "kerbstone":
            continue
        vendor = distribution.partition("-")[0]
        more = f"?arch={package.arch}&distro={distribution}"
        ref = purl(f"deb/{vendor}", package.name, package.version, more)
        components.append(
            {
                "type": "library",
                "bom-ref": ref,
                "supplier": {"name": package.maintainer},
                "name": package.name,
                "version": package.version,
                "purl": ref,
                "properties": [{"name": "debian:source", "value": package.source}],
            }
        )
    return Parts(components, {})


def document(main: Json, moment: int, parts: Sequence[Parts]) -> str:
    """The file: `main` is what it is about."""
    components = sorted((c for p in parts for c in p.components), key=lambda c: str(c["bom-ref"]))
    needs = {ref: list(on) for p in parts for ref, on in p.needs.items()}
    needs.setdefault(main["bom-ref"], [c["bom-ref"] for c in components])
    body: Json = {
        "metadata": {
            "timestamp": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": main,
        },
        "components": [c for c in components if c["bom-ref"] != main["bom-ref"]],
        "dependencies": [
            {"ref": ref, "dependsOn": on} if on else {"ref": ref}
            for ref, on in sorted(needs.items())
        ],
    }
    content = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
    }
    return json.dumps({**head, **body}, indent=1, ensure_ascii=False) + "\n"


def of_slot(
    paths: Sequence[Path], wheels: Sequence[wheel.Wheel], target: Target, moment: int
) -> str:
    """The document about the program by itself."""
    parts = of_wheels(paths, wheels, target)
    main = next(c for c in parts.components if c["type"] == "application")
    return document(main, moment, [parts])


def of_root(root: Path, moment: int) -> str:
    """The document about a whole system, by what it says of itself."""
    try:
        installed = json.loads((root / INSTALLED).read_text(encoding="utf-8"))
        own = installed["metadata"]["component"]
        slot_parts = Parts(
            [own, *installed["components"]],
            {need["ref"]: need.get("dependsOn", []) for need in installed["dependencies"]},
        )
        status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
        release = (root / "usr/lib/os-release").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BuildError(
            f"{error.filename} is not there: is kerbstone installed in {root}?"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BuildError(f"{root / INSTALLED} is no SBOM of ours: {error}") from error
    system = of_debian(dpkg.installed(status), dpkg.distribution(release))
    version = str(own["version"])
    ref = purl("generic", "kerbstone-image", version)
    main = {"type": "firmware", "bom-ref": ref, "name": "kerbstone-image", "version": version}
    return document({**main, "purl": ref}, moment, [slot_parts, system])


def main() -> None:
    """One command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package.sbom", description=__doc__)
    parser.add_argument("--root", type=Path, help="a Debian system with the package installed")
    parser.add_argument("--out", type=Path, help="default: dist/kerbstone-VERSION.cdx.json")
    options = slot.arguments(parser).parse_args()
    moment = project.epoch()
    name = f"kerbstone-{'image-' if options.root else ''}{project.version()}.cdx.json"
    out: Path = options.out or lock.ROOT / "dist" / name
    if options.root:
        text = of_root(options.root, moment)
    else:
        target = slot.aimed(options.arch)
        paths = slot.collected(options, target, moment)
        text = of_slot(paths, [wheel.read(path) for path in paths], target, moment)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    print(f"{out}: {len(json.loads(text)['components'])} components")


if __name__ == "__main__":
    sys.exit(ended(main))
