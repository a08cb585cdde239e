"""Which shared libraries of the system the native modules of a slot need."""

import struct
from collections.abc import Iterator
from pathlib import Path

from deploy.package.errors import BuildError

# library to the package of Debian 13 that has it
PACKAGES = {
    "ld-linux-aarch64.so.1": "libc6",
    "ld-linux-x86-64.so.2": "libc6",
    "libc.so.6": "libc6",
    "libdl.so.2": "libc6",
    "libm.so.6": "libc6",
    "libpthread.so.0": "libc6",
    "librt.so.1": "libc6",
    "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
}
MACHINES = {183: "aarch64", 62: "x86_64"}
LOAD, DYNAMIC = 1, 2
NEEDED, STRTAB = 1, 5


def machine(data: bytes) -> str | None:
    """For which machine a 64-bit little-endian ELF file is; None when it is no such file."""
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
        return None
    return MACHINES.get(struct.unpack_from("<H", data, 18)[0], "another machine")


def needed(data: bytes) -> Iterator[str]:
    """The names of the libraries that an ELF file asks for."""
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, offset + n * size) for n in range(count)]
    entries: list[tuple[int, int]] = []
    for kind, _, start, _, _, length, _, _ in segments:
        if kind in (LOAD, DYNAMIC) and start + length > len(data):
            raise ValueError("it is cut")
        if kind == DYNAMIC:
            entries += struct.iter_unpack("<qQ", data[start : start + length - length % 16])
    strings = next((value for tag, value in entries if tag == STRTAB), None)
    for kind, _, start, address, _, length, _, _ in segments:
        # the table is named by its address in memory; this segment tells where in the file it is
        if kind == LOAD and strings is not None and address <= strings < address + length:
            base = start + strings - address
            for tag, value in entries:
                if tag == NEEDED:
                    yield data[base + value : data.index(b"\0", base + value)].decode("ascii")


def packages(tree: Path, wanted: str) -> set[str]:
    """Debian's packages that have the libraries which the files below `tree` need from outside."""
    files = {path: path.read_bytes() for path in tree.rglob("*.so*") if path.is_file()}
    own = {path.name for path in files}
    found: set[str] = set()
    for path, data in sorted(files.items()):
        kind = machine(data)
        if kind is None:
            continue
        if kind != wanted:
            raise BuildError(f"{path} is for {kind}, not for {wanted}")
        try:
            libraries = set(needed(data)) - own
        except (struct.error, ValueError) as error:
            raise BuildError(f"{path} is damaged: {error}") from error
        for library in libraries:
            if library not in PACKAGES:
                raise BuildError(
                    f"{path} needs {library}: add the package that has it to deploy/package/elf.py"
                )
            found.add(PACKAGES[library])
    return found
