"""What the kernel tests need of the host, and what they say where it is missing. No guest here."""

import re
import shutil

import pytest

from tests.kernel import offer
from tests.kernel.initrd import needed

DEP = """\
kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc32.ko.xz
kernel/fs/jbd2/jbd2.ko.xz: kernel/lib/crc32.ko.xz
kernel/lib/crc16.ko.xz:
kernel/lib/crc32.ko.xz:
kernel/net/9p/9pnet-virtio.ko.xz:
"""


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("qemu-system-x86_64", "apt-get install qemu-system-x86"),
        ("mmdebstrap", "apt-get install mmdebstrap"),
        ("apt-get", "there is no apt here"),
    ],
)
def test_without_a_tool_the_tests_are_skipped_and_say_which(
    monkeypatch: pytest.MonkeyPatch, missing: str, remedy: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else f"/bin/{name}")
    with pytest.raises(offer.Unavailable, match=re.escape(remedy)):
        offer.offer()


def test_another_machine_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(offer.Unavailable, match="x86-64 only"):
        offer.offer()


def test_a_module_comes_after_what_it_needs() -> None:
    order = needed(["ext4", "9pnet_virtio", "built_in"], DEP)
    names = [path.rpartition("/")[2].partition(".")[0] for path in order]
    assert names == ["crc32", "jbd2", "crc16", "ext4", "9pnet-virtio"]
