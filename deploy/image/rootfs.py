"""From Debian's root to that of a gateway: the program, our settings, nothing that identifies."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.image import host

HERE = Path(__file__).parent
ENABLED = (
    "kerbstone-data-ready.service",
    "NetworkManager.service",
    "ModemManager.service",
    "chrony.service",
    "ssh.service",
)
# no login at a console, nothing that downloads or listens, no clean-up of what is not written
MASKED = (
    "getty@.service",
    "serial-getty@.service",
    "console-getty.service",
    "container-getty@.service",
    "getty.target",
    "ssh.socket",
    "sshd-keygen.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "systemd-remount-fs.service",
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "systemd-journal-catalog-update.service",
)
DISABLED = ("wpa_supplicant.service",)  # NetworkManager asks for it over D-Bus
# opens sockets for ssh on AF_VSOCK and AF_UNIX when it finds sshd
GENERATORS = ("systemd-ssh-generator",)
# what is state of one machine, or of the build
REMOVED = (
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "etc/resolv.conf",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "etc/.pwd.lock",
    "etc/.updated",
    "var/.updated",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/cache/ldconfig/aux-cache",
)
EMPTIED = (
    "boot",
    "var/log",
    "var/cache",
    "tmp",
    "run",
    "root",
    "var/lib/apt/lists",
    "var/lib/NetworkManager",
)
FOLDERS = (
    *("data", "boot/firmware", "etc/kerbstone", "var/cache/private", "var/lib/kerbstone"),
    *("var/lib/kerbstone-link", "var/lib/kerbstone-egress", "var/lib/NetworkManager"),
    *("var/lib/kerbstone-identity", "var/lib/kerbstone-web"),
    *("var/lib/chrony", "var/lib/systemd"),
)


def unpack(tar: Path, root: Path) -> None:
    """Anew, with owners and modes."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    host.output(
        [
            "tar",
            "--numeric-owner",
            "--xattrs",
            "-xpf",
            str(tar),
            "-C",
            str(root),
            "--exclude=./dev/*",
        ]
    )


def inside(root: Path, command: Sequence[str], epoch: int) -> None:
    """Run a program of the root. Nothing of it may start a service."""
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "SOURCE_DATE_EPOCH": str(epoch),
        "SYSTEMD_OFFLINE": "1",
    }
    done = subprocess.run(
        ["chroot", str(root), *command],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    if done.returncode:
        raise host.BuildError(f"{' '.join(command)} in the root:\n{done.stdout}{done.stderr}")


def install(root: Path, deb: Path | None, epoch: int) -> None:
    """Our settings first, so that the package's units find their place; then the package."""
    shutil.copytree(HERE / "tree", root, dirs_exist_ok=True)
    if deb is not None:
        shutil.copy(deb, root / "tmp" / deb.name)
        inside(root, ["dpkg", "--force-confold", "--install", f"/tmp/{deb.name}"], epoch)
    inside(root, ["systemd-sysusers"], epoch)
    inside(root, ["systemctl", "enable", *ENABLED], epoch)
    inside(root, ["systemctl", "disable", *DISABLED], epoch)
    inside(root, ["systemctl", "mask", *MASKED], epoch)
    for name in GENERATORS:
        place = root / "etc/systemd/system-generators" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to("/dev/null")


def name_image(root: Path, version: str) -> None:
    """As os-release(5) has it, for hostnamectl(1) and the description that a box sends. A file of
    its own in /etc: that of the distribution stays as its package made it."""
    text = (root / "usr/lib/os-release").read_text("utf-8").rstrip("\n")
    own = root / "etc/os-release"
    own.unlink(missing_ok=True)  # a link to the other one
    own.write_text(f"{text}\nIMAGE_ID=kerbstone\nIMAGE_VERSION={version}\n", "utf-8")
    own.chmod(0o644)


def boot_files(root: Path, out: Path) -> None:
    """The FAT partition: firmware, one kernel with its initramfs, device trees."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    shutil.copy(kernel, out / "vmlinuz")
    shutil.copy(root / f"boot/initrd.img-{version}", out / "initrd.img")
    for tree in (root / f"usr/lib/linux-image-{version}/broadcom").glob("bcm2*.dtb"):
        shutil.copy(tree, out)
    shutil.copytree(root / "usr/lib/raspi-firmware", out, dirs_exist_ok=True)
    shutil.copytree(HERE / "boot", out, dirs_exist_ok=True)


def clean(root: Path) -> None:
    """Remove what belongs to one machine or to the build; make what fstab needs."""
    for name in REMOVED:
        (root / name).unlink(missing_ok=True)
    for name in EMPTIED:
        folder = root / name
        if folder.is_dir():
            for each in folder.iterdir():
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    for each in (root / "etc/ssh").glob("ssh_host_*"):
        each.unlink()
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    # systemd-tmpfiles could not make them on a read-only root
    (root / "etc/kerbstone").chmod(0o750)
    os.chown(root / "etc/kerbstone", 0, numbers(root, "kerbstone")[1])
    (root / "var/cache/private").chmod(0o700)
    # empty: systemd makes one for the boot, and mounts it over this file
    (root / "etc/machine-id").touch(mode=0o444)
    (root / "etc/resolv.conf").symlink_to("/run/NetworkManager/resolv.conf")
    link = root / "var/lib/dbus/machine-id"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/etc/machine-id")


def numbers(root: Path, name: str) -> tuple[int, int]:
    """A user's number and that of its group, in the root."""
    for row in (root / "etc/passwd").read_text("utf-8").splitlines():
        fields = row.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    return 0, 0


def data_tree(root: Path, out: Path) -> None:
    """What the data partition begins with: empty folders of the right owners."""
    shutil.rmtree(out, ignore_errors=True)
    rows = {
        "kerbstone": ("kerbstone", 0o750),
        "kerbstone-link": ("kerbstone-link", 0o700),
        "kerbstone-egress": ("root", 0o700),
        "kerbstone-web": ("kerbstone-web", 0o755),
        "kerbstone-identity": ("root", 0o700),
        "NetworkManager": ("root", 0o700),
        "chrony": ("_chrony", 0o750),
        "systemd": ("root", 0o755),
        "ssh": ("root", 0o700),
    }
    for name, (user, mode) in rows.items():
        folder = out / name
        folder.mkdir(parents=True)
        folder.chmod(mode)
        os.chown(folder, *numbers(root, user))
    out.chmod(0o755)
