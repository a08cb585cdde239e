"""The root of Debian packages for arm64: made by mmdebstrap under qemu-user, kept as a tar."""

import hashlib
from pathlib import Path

from deploy.image import host

HERE = Path(__file__).parent
# the kernel's own hook would make an initramfs with every module, twice, at emulated speed
UNWANTED = ("/etc/kernel/postinst.d/initramfs-tools", "/etc/kernel/postrm.d/initramfs-tools")
# manuals, translations, trees of other boards; licences stay
DPKG = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/lib/linux-image-*/*",
    "path-include=/usr/lib/linux-image-*/broadcom",
    "path-include=/usr/lib/linux-image-*/broadcom/bcm2*",
    *(f"path-exclude={path}" for path in UNWANTED),
    "force-confold",
]
# of this build or this machine
LEFT = (
    *("var/log/*", "var/cache/*", "etc/ssh/ssh_host_*", "etc/resolv.conf", "etc/hostname"),
    *("etc/machine-id", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed"),
    *("etc/apt/sources.list*", "etc/apt/apt.conf.d/99mmdebstrap", "var/lib/apt/lists/*"),
)
# one call each, in the new root: the initramfs for the only kernel, at the end and once
INITRAMFS = (
    'for kernel in "$1"/boot/vmlinuz-*; do chroot "$1" mkinitramfs '
    '-o "/boot/initrd.img-${kernel##*/vmlinuz-}" "${kernel##*/vmlinuz-}"; done'
)


def packages(text: str) -> list[str]:
    """The names in the list of packages."""
    rows = (row.split("#")[0].strip() for row in text.splitlines())
    return [row for row in rows if row]


def key(sources: list[host.Source], epoch: int) -> str:
    """What the root depends on, as a short name: the list, the state of the mirror, the hooks."""
    digest = hashlib.sha256(f"{epoch}\n".encode())
    digest.update("\n".join(source.line() for source in sources).encode())
    digest.update("\n".join((*DPKG, *LEFT, INITRAMFS)).encode())
    for path in [HERE / "packages.txt", *sorted((HERE / "initramfs").rglob("*"))]:
        if path.is_file():
            digest.update(path.relative_to(HERE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def command(
    out: Path, sources: list[host.Source], names: list[str], acquire: list[str]
) -> list[str]:
    """The call of mmdebstrap."""
    hooks = [
        f'--setup-hook=mkdir -p "$1/etc" && cp -r {HERE / "initramfs"} "$1/etc/initramfs-tools"',
        "--essential-hook=echo update_initramfs=no"
        ' > "$1/etc/initramfs-tools/update-initramfs.conf"',
        f"--customize-hook={INITRAMFS}",
        # what differs from build to build and is worth nothing in the image
        f'--customize-hook=cd "$1" && rm -rf {" ".join(LEFT)}',
    ]
    return [
        "mmdebstrap",
        "--mode=root",
        "--arch=arm64",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(names)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--aptopt={row}" for row in acquire),
        *(f"--dpkgopt={row}" for row in DPKG),
        *hooks,
        min((source.suite for source in sources), key=len),
        str(out),
        *(source.line() for source in sources),
    ]


def acquire_options(dump: str) -> list[str]:
    """How the host fetches packages: proxies, and whether it takes a mirror that stands still."""
    wanted = ("Acquire::Check-", "Acquire::http", "Acquire::https", "Acquire::Retries")
    return [row for row in dump.splitlines() if row.startswith(wanted) and not row.endswith('"";')]


def make(build: Path, fresh: bool = False) -> tuple[Path, int]:
    """The cached root and its epoch; made first when it is missing, or `fresh`."""
    sources = host.sources()
    epoch = host.mirror_epoch()
    tar = build / f"root-{key(sources, epoch)}.tar"
    if tar.exists() and not fresh:
        host.report(f"root: cached, {tar.stat().st_size / 1e6:.0f} MB in {tar}")
        return tar, epoch
    host.need_tools()
    build.mkdir(parents=True, exist_ok=True)
    log, torn = build / "root.log", tar.with_suffix(".torn")
    log.unlink(missing_ok=True)
    names = packages((HERE / "packages.txt").read_text("utf-8"))
    acquire = acquire_options(host.output(["apt-config", "dump"]))
    with host.step(
        f"root: {len(names)} packages and what they need, some 15 minutes; the log is {log}"
    ):
        host.run(
            command(torn, sources, names, acquire),
            log,
            {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"},
        )
    torn.replace(tar)
    host.report(f"root: {tar.stat().st_size / 1e6:.0f} MB in {tar}")
    return tar, epoch
