"""What the scan of an image finds, each planted in a small tree that is fine without it."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.image import scan, units

KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49" * 3 + "\n"
SYSTEM = "usr/lib/systemd/system"
WANTS = "etc/systemd/system/multi-user.target.wants"
NULL = Path("/dev/null")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree as the image's, as far as the scan looks."""
    root = tmp_path / "root"
    write(
        root / "etc/passwd", "root:x:0:0:root:/root:/bin/bash\ntechnician:x:986:986::/:/bin/bash\n"
    )
    write(root / "etc/shadow", "root:*:20782:0:99999:7:::\ntechnician:!*:20782::::::\n")
    write(root / "etc/gshadow", "root:*::\nkerbstone:!*::\nusers:::\n")
    write(root / "etc/machine-id", "")
    write(root / "etc/fstab", "LABEL=ROOT / ext4 ro,noatime 0 0\n")
    write(
        root / "etc/ssh/sshd_config.d/k.conf",
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
    )
    write(root / "usr/sbin/sshd", "")
    write(root / "usr/lib/systemd/systemd", "")
    write(root / "usr/lib/systemd/system-generators/systemd-ssh-generator", "")
    mask(root / "etc/systemd/system-generators/systemd-ssh-generator")
    for name in units.MUST_BE_MASKED:
        mask(root / "etc/systemd/system" / name)
    write(root / SYSTEM / "kerbstone.service", "[Service]\n")
    enable(root, "kerbstone.service")
    write(root / SYSTEM / "dbus.socket", "[Socket]\nListenStream=/run/dbus/system_bus_socket\n")
    link(root / SYSTEM / "sockets.target.wants/dbus.socket", Path("../dbus.socket"))
    for name in ("root", "home", "var/log", "var/lib/kerbstone"):
        (root / name).mkdir(parents=True)
    tmp = root / "tmp"
    tmp.mkdir()
    tmp.chmod(0o1777)
    write(root / "usr/bin/su", "").chmod(0o4755)
    return root


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    boot = tmp_path / "boot"
    write(boot / "cmdline.txt", "console=tty1 root=LABEL=ROOT ro rootwait\n")
    write(boot / "config.txt", "arm_64bit=1\n")
    return boot


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)
    return path


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def mask(path: Path) -> None:
    link(path, NULL)


def enable(root: Path, name: str) -> None:
    link(root / WANTS / name, Path("/usr/lib/systemd/system") / name)


def shared_folder(root: Path) -> None:
    (root / "usr/share/x").mkdir(parents=True)
    (root / "usr/share/x").chmod(0o777)


def socket_on(address: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        write(root / SYSTEM / "x.socket", f"[Socket]\nListenStream={address}\n")
        link(root / "etc/systemd/system/sockets.target.wants/x.socket", Path(f"/{SYSTEM}/x.socket"))

    return plant


def unmasked(root: Path) -> None:
    (root / "etc/systemd/system/serial-getty@.service").unlink()


def unknown_service(root: Path) -> None:
    write(root / SYSTEM / "nginx.service", "[Service]\n")
    enable(root, "nginx.service")


def setuid(root: Path) -> None:
    write(root / "usr/bin/doas", "").chmod(0o4755)
    assert (root / "usr/bin/doas").stat().st_mode & stat.S_ISUID


def text(name: str, body: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        write(root / name, body)

    return plant


PLANTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a private key": (text("opt/x/cert.pem", KEY), "opt/x/cert.pem holds a private key"),
    "a key of another form": (
        text("opt/x", KEY.replace("PRIVATE", "EC PRIVATE")), "opt/x holds a private key"),
    "a key with a header": (
        text("opt/x", KEY.replace("-----\n", "-----\nDEK-Info: AES,1\n\n", 1)), "opt/x holds"),
    "a password": (text("etc/shadow", "root:$y$j9T$x$y:1:::::\n"), "root has a password"),
    "an account that needs none": (text("etc/shadow", "x::1:0:9:7:::\n"), "x has a password, or"),
    "a password in passwd": (text("etc/passwd", "x:abc:0:0::/:/bin/sh\n"), "x has a password f"),
    "authorized keys": (text("root/.ssh/authorized_keys", "ssh-ed25519 x"), "somebody's key"),
    "a host key": (text("etc/ssh/ssh_host_rsa_key", ""), "ssh_host_rsa_key: a host key"),
    "a machine id": (text("etc/machine-id", "0" * 32), "etc/machine-id is not empty"),
    "a Wi-Fi password": (
        text("etc/wpa_supplicant/w.conf", 'network={\n psk="topsecret"\n}\n'), "holds a password"),
    "a network profile": (
        text("etc/NetworkManager/system-connections/x", "[wifi]\n"), "connections is not empty"),
    "a random seed": (text("var/lib/systemd/random-seed", "x"), "random-seed would be the same"),
    "state of a box": (text("var/lib/kerbstone/outbox.db", ""), "var/lib/kerbstone is not empty"),
    "a log": (text("var/log/dpkg.log", "x"), "var/log is not empty"),
    "the builder's mirror": (text("etc/apt/sources.list", "deb x"), "names the mirror"),
    "a service that nobody knows": (unknown_service, "nginx.service is enabled"),
    "a socket on a port": (socket_on("22"), "x.socket listens at 22"),
    "a socket on an address": (socket_on("[::1]:631"), "x.socket listens at [::1]:631"),
    "a login at the serial port": (unmasked, "serial-getty@.service is not masked"),
    "a setuid program": (setuid, "usr/bin/doas runs with another user's rights"),
    "a file for everybody": (
        lambda root: (root / "etc/fstab").chmod(0o666), "etc/fstab: everybody may write"),
    "a folder for everybody": (shared_folder, "usr/share/x: everybody may write"),
    "ssh with passwords": (text("etc/ssh/sshd_config.d/k.conf", ""), "PasswordAuthentication no"),
    "a root that is written": (
        text("etc/fstab", "LABEL=ROOT / ext4 rw 0 1\n"), "does not mount the root read-only"),
}  # fmt: skip
ON_BOOT: dict[str, tuple[Callable[[Path], None], str]] = {
    "a claim": (text("kerbstone-claim.toml", "v = 1"), "kerbstone-claim.toml belongs to one box"),
    "a key": (text("x.pem", KEY), "x.pem holds a private key"),
    "a console on the serial port": (
        text("cmdline.txt", "console=ttyAMA0 ro"), "a console on the serial port"),
    "a shell": (text("cmdline.txt", "ro init=/bin/sh"), "a shell without a password"),
    "a root that is written": (text("cmdline.txt", "rw"), "does not mount the root read-only"),
}  # fmt: skip


def test_a_tree_in_order_has_no_findings(root: Path, boot: Path) -> None:
    assert scan.findings(root, boot) == []


@pytest.mark.parametrize("what", PLANTED)
def test_it_finds_in_the_root(what: str, root: Path, boot: Path) -> None:
    plant, said = PLANTED[what]
    plant(root)
    found = scan.findings(root, boot)
    assert any(said in row for row in found), found


@pytest.mark.parametrize("what", ON_BOOT)
def test_it_finds_on_the_boot_partition(what: str, root: Path, boot: Path) -> None:
    plant, said = ON_BOOT[what]
    plant(boot)
    found = scan.findings(root, boot)
    assert any(said in row for row in found), found


def test_programs_that_only_know_how_a_key_begins_are_no_finding(root: Path) -> None:
    write(root / "usr/lib/x.py", 'BEGIN = "-----BEGIN PRIVATE KEY-----"\n')
    assert scan.findings(root) == []


def test_a_socket_that_is_bound_to_loopback_is_no_finding(root: Path) -> None:
    write(root / SYSTEM / "x.socket", "[Socket]\nListenStream=443\nBindToDevice=lo\n")
    link(root / "etc/systemd/system/sockets.target.wants/x.socket", Path(f"/{SYSTEM}/x.socket"))
    assert scan.findings(root) == []
    write(root / SYSTEM / "x.socket", "[Socket]\nListenStream=443\nBindToDevice=lo0\n")
    assert scan.findings(root) == ["x.socket listens at 443"]


def test_sockets_of_this_machine_only_are_no_finding(root: Path) -> None:
    socket_on("/run/x.sock")(root)
    assert scan.findings(root) == []


def test_the_command_says_so_and_ends_with_1(
    root: Path, boot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan.main([str(root), str(boot)]) == 0
    assert "0 findings" in capsys.readouterr().out
    write(root / "opt/key", KEY)
    assert scan.main([str(root), str(boot)]) == 1
    assert "opt/key holds a private key" in capsys.readouterr().out
