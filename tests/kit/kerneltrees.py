"""Pieces of /sys and /proc as boards show them, laid out below a folder of the test.

An example:

    root = pi(tmp_path, **{"proc/loadavg": "9.00 9.00 9.00 1/140 2211\\n"})
"""

from collections.abc import Mapping
from pathlib import Path

# the form is that of Linux 6.12 on a Raspberry Pi Zero 2 W; the numbers are invented
MOUNTINFO = (
    "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n"
    "24 22 0:22 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=85468k,mode=755\n"
    "39 22 179:3 / /var/lib/kerbstone rw,noatime shared:21 - ext4 /dev/mmcblk0p3 rw\n"
    "40 22 253:0 / /srv rw - ext4 /dev/mapper/srv rw\n"
    "41 22 179:1 / /boot/my\\040card ro,relatime - vfat /dev/mmcblk0p1 rw,errors=remount-ro\n"
)
STAT = "   10223     4316   812954    37280     5471     8813   250368   101440        0    60216\n"
MEMINFO = (
    "MemTotal:         427464 kB\nMemFree:           61372 kB\nMemAvailable:     213732 kB\n"
    "SwapTotal:        102396 kB\nSwapFree:          92396 kB\nHugePages_Total:       0\n"
)
PI: Mapping[str, str] = {
    "proc/self/mountinfo": MOUNTINFO,
    "proc/self/io": "rchar: 9\nwchar: 9\nwrite_bytes: 4096000\ncancelled_write_bytes: 0\n",
    "proc/self/statm": "9000 7000 3000 1 0 5000 0\n",
    "proc/self/cgroup": "0::/system.slice/kerbstone.service\n",
    "proc/meminfo": MEMINFO,
    "proc/loadavg": "0.42 0.30 0.21 1/140 2211\n",
    "proc/vmstat": "nr_free_pages 15343\noom_kill 0\n",
    "proc/device-tree/model": "Raspberry Pi Zero 2 W Rev 1.0\0",
    "proc/device-tree/serial-number": "00000000deadbeef\0",
    "sys/fs/cgroup/system.slice/kerbstone.service/memory.events": "low 0\nhigh 7\noom_kill 0\n",
    "sys/block/mmcblk0/stat": STAT,
    "sys/devices/platform/soc/mmc/block/mmcblk0/mmcblk0p3/partition": "3\n",
    "sys/fs/ext4/mmcblk0p3/errors_count": "2\n",
    "sys/devices/virtual/block/dm-0/dm/name": "srv\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/temp": "51540\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1000000\n",
}


def lay(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write these files below `root`."""
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def pi(root: Path, **other: str) -> Path:
    """A healthy board, with the links between a disk and its partition."""
    lay(root, {**PI, **other})
    blocks = root / "sys/dev/block"
    blocks.mkdir(parents=True)
    (blocks / "179:3").symlink_to("../../devices/platform/soc/mmc/block/mmcblk0/mmcblk0p3")
    (blocks / "179:0").symlink_to("../../devices/platform/soc/mmc/block/mmcblk0")
    (blocks / "253:0").symlink_to("../../devices/virtual/block/dm-0")
    return root
