"""Makes the guest of the kernel tests: a Debian image, its modules, the locked Python packages.

Kept in ~/.cache/kerbstone/kernel, or the folder that KERNEL_CACHE names; one folder per version
of the kernel that apt offers. Where apt offers none that can be made, because its kernel, headers
and source are of different versions or a tool is missing, the newest guest of the cache is taken.
By itself: python -m tests.kernel.build
"""

import fcntl
import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.rig.initrd import needed
from tests.kernel.offer import Offer, Unavailable, check_machine, offer

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
LOCK: Final = ROOT / "requirements/runtime.txt"
PACKAGES: Final = ("kmod", "busybox-static", "udev", "python3", "e2fsprogs")
# ext4 asks for its check sum by a name that modules.dep does not know
FIRST_MODULES: Final = (
    "virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9pnet_virtio", "9p",
)  # fmt: skip
LEFT_OUT: Final = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
RECIPE: Final = hashlib.sha256(repr((PACKAGES, FIRST_MODULES, LEFT_OUT)).encode()).hexdigest()[:8]
SIMULATOR: Final = {  # in the kernel's source -> how it is called here
    "drivers/gpio/gpio-sim.c": "gpio-sim-core.c",
    "kernel/irq/irq_sim.c": "irq_sim.c",
}
# gpio-sim needs irq_sim, which Debian leaves out too; as a part of a module it may not call this
PRIVATE: Final = "handle_simple_irq(irq_to_desc(irqnum))"
PUBLIC: Final = "generic_handle_irq(irqnum)"
MAKEFILE: Final = """\
obj-m := gpio-sim.o kerbstone_i2c.o
gpio-sim-y := gpio-sim-core.o irq_sim.o
"""


@dataclass(frozen=True, slots=True)
class Built:
    """All that QEMU is given, and what the guest finds under /mnt/cache."""

    folder: Path
    modules: Path
    site: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def image(self) -> Path:
        return self.folder / "root.img"

    @property
    def busybox(self) -> Path:
        return self.folder / "busybox"

    @property
    def first_modules(self) -> list[Path]:
        """In the order of loading."""
        return sorted((self.folder / "first").iterdir())


def cache() -> Path:
    """Where guests are kept."""
    if named := os.environ.get("KERNEL_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kerbstone/kernel"


def build() -> Built:
    """The guest of the kernel that apt offers now, from the cache or made; else the newest that is
    in the cache. Raises Unavailable."""
    check_machine()
    top = cache()
    top.mkdir(parents=True, exist_ok=True)
    with (top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = kernel_folder(top)
        key = digest(HERE / "module/kerbstone_i2c.c", Path(__file__))
        modules = make_once(
            folder / f"modules-{key}", "the modules", lambda to: _modules(folder, to)
        )
        python = (folder / "python").read_text(encoding="utf-8")
        site = make_once(
            top / f"site-{python}-{digest(LOCK)}", "the packages", lambda to: make_site(python, to)
        )
    size_mb = megabytes(folder, site)
    print(f"guest: {folder.name}, Python {python}, {size_mb:.0f} MB in {top}", flush=True)
    if others_mb := megabytes(top) - size_mb:
        print(f"older guests there, which can be deleted: {others_mb:.0f} MB", flush=True)
    return Built(folder, modules, site)


def kernel_folder(top: Path) -> Path:
    """Where a kernel and its image are, made if need be. Raises Unavailable."""
    try:
        found = offer()
    except Unavailable as reason:
        there = sorted(top.glob(f"kernel-*-{RECIPE}"), key=lambda path: path.stat().st_mtime)
        if not there:
            raise
        print(f"no new guest: {reason}; the one in the cache is taken", flush=True)
        return there[-1]
    return make_once(
        top / f"kernel-{found.version}-{RECIPE}", "the image", lambda to: _image(found, to)
    )


def _image(found: Offer, to: Path) -> None:
    """Debian with this kernel as one ext4 image; neither loop device nor mount is needed."""
    make_root(found, to, PACKAGES)
    _fetch(to / "debs", *found.headers, found.source)
    _simulator(next((to / "debs").glob("linux-source-*.deb")), to / "simulator")


def make_root(found: Offer, to: Path, packages: Sequence[str]) -> None:
    """`root.img` with these packages and the kernel, and what is needed to boot it."""
    if os.geteuid() != 0 and shutil.which("newuidmap") is None:
        raise Unavailable("root makes the guest once: apt-get install uidmap to do without")
    listed = to / "sources.list"
    listed.write_text(found.sources, encoding="utf-8")
    archive = to / "root.tar"
    _run(
        "mmdebstrap", "--quiet", "--variant=minbase",
        f"--include={','.join((f'linux-image-{found.release}', *packages))}",
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        "--aptopt=APT::Install-Recommends \"false\"",
        found.suite, archive, listed,
    )  # fmt: skip
    _take_first(archive, found.release, to)
    size_mb = archive.stat().st_size // 2**20 * 5 // 4 + 128  # room for inodes and the journal
    _run("mke2fs", "-q", "-t", "ext4", "-d", archive, to / "root.img", f"{size_mb}M")
    archive.unlink()


def _take_first(archive: Path, release: str, to: Path) -> None:
    """What is needed before the image can be read, out of the image."""
    tree = f"./usr/lib/modules/{release}"
    with tarfile.open(archive) as tar:

        def read(name: str) -> bytes:
            member = tar.extractfile(name)
            assert member is not None, name
            return member.read()

        (to / "vmlinuz").write_bytes(read(f"./boot/vmlinuz-{release}"))
        (to / "busybox").write_bytes(read("./usr/bin/busybox"))
        first = to / "first"
        first.mkdir()
        dep = read(f"{tree}/modules.dep").decode()
        for number, path in enumerate(needed(FIRST_MODULES, dep)):
            data = read(f"{tree}/{path}")
            plain = lzma.decompress(data) if path.endswith(".xz") else data
            (first / f"{number:02}-{Path(path).name.removesuffix('.xz')}").write_bytes(plain)
        python = Path(tar.getmember("./usr/bin/python3").linkname).name
        (to / "python").write_text(python.removeprefix("python"), encoding="utf-8")


def _fetch(to: Path, *packages: str) -> None:
    to.mkdir()
    _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages, cwd=to)


def _simulator(deb: Path, to: Path) -> None:
    """Two files out of the kernel's source; the rest of it is not kept."""
    to.mkdir()
    names = " ".join(f"--wildcards '*/{name}'" for name in SIMULATOR)
    _run(
        "bash", "-o", "pipefail", "-c",
        f"dpkg-deb --fsys-tarfile '{deb}' | tar -xO --wildcards './usr/src/linux-source-*.tar.xz'"
        f" | tar -xJ -C '{to}' --strip-components=1 {names}",
    )  # fmt: skip
    deb.unlink()


def _modules(folder: Path, to: Path) -> None:
    """gpio-sim, which Debian does not build, and the adapter of ours."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for deb in (folder / "debs").glob("*.deb"):
            _run("dpkg-deb", "-x", deb, work / "headers")
        sources = work / "headers/usr/src"
        headers = next(sources.glob("linux-headers-*-amd64"))
        (headers / "vmlinux").unlink(missing_ok=True)  # or BTF would be made, which needs pahole
        makefile = headers / "Makefile"
        makefile.write_text(makefile.read_text().replace("/usr/src/", f"{sources}/"))
        code = work / "code"
        code.mkdir()
        for path, called in SIMULATOR.items():
            text = (folder / "simulator" / path).read_text(encoding="utf-8")
            (code / called).write_text(text.replace(PRIVATE, PUBLIC), encoding="utf-8")
        shutil.copy(HERE / "module/kerbstone_i2c.c", code)
        (code / "Makefile").write_text(MAKEFILE)
        _run("make", "-s", "-C", headers, f"M={code}", "modules")
        for module in code.glob("*.ko"):
            _run("strip", "--strip-debug", "-o", to / module.name, module)


def make_site(python: str, to: Path) -> None:
    """The locked packages as wheels for the guest's Python, which may be another than this one."""
    _run(
        sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
        "--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-compile",
        "--implementation", "cp", "--python-version", python,
        *(f"--platform=manylinux{tag}_x86_64" for tag in ("_2_34", "_2_28", "_2_17", "2014")),
        "--target", to, "-r", LOCK,
    )  # fmt: skip


def make_once(folder: Path, what: str, make: Callable[[Path], None]) -> Path:
    """Make it unless it is there; a build that was broken off leaves nothing that looks whole."""
    if folder.exists():
        return folder
    began = time.monotonic()
    print(f"making {what} of the guest ...", flush=True)
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    make(new)
    new.rename(folder)
    minutes = (time.monotonic() - began) / 60
    print(f"made {what}: {minutes:.1f} min, {megabytes(folder):.0f} MB", flush=True)
    return folder


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reported = (done.stderr or done.stdout)[-3000:]
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{reported}")


def digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def megabytes(*folders: Path) -> float:
    """What they take on the disk: the image is sparse."""
    files = {p for folder in folders for p in folder.rglob("*") if p.is_file()}
    return sum(path.stat().st_blocks for path in files) * 512 / 1e6


if __name__ == "__main__":
    try:
        build()
    except Unavailable as reason:
        sys.exit(f"no guest: {reason}")
