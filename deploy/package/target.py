"""For which machine and which Python something is built, and which wheels fit there."""

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags

DEBIAN = {"aarch64": "arm64", "x86_64": "amd64"}
# the C library that comes with each Python: Debian 12, Ubuntu 24.04, Debian 13
GLIBC = {(3, 11): 36, (3, 12): 39, (3, 13): 41}
OLDEST = 17  # manylinux2014


@dataclass(frozen=True, slots=True)
class Target:
    """`machine` as the kernel calls it; `python` is that of the distribution that it runs."""

    machine: str = "aarch64"
    python: tuple[int, int] = (3, 13)

    @property
    def debian(self) -> str:
        return DEBIAN[self.machine]

    @property
    def dotted(self) -> str:
        return ".".join(map(str, self.python))

    def platforms(self) -> list[str]:
        """The names that a wheel may have for this machine, best first."""
        newest = GLIBC[self.python]
        names = [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, OLDEST - 1, -1)]
        return [*names, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]

    def tags(self) -> Iterator[Tag]:
        """What a wheel may be, best first."""
        cpython = "cp{}{}".format(*self.python)
        # the ABI is named: otherwise it would be that of the Python that runs this
        yield from cpython_tags(self.python, abis=[cpython], platforms=self.platforms())
        yield from compatible_tags(self.python, cpython, self.platforms())

    def takes(self, marker: str) -> bool:
        """Whether a line with this marker is for this target, whatever runs this."""
        return not marker or Marker(marker).evaluate(
            {
                "extra": "",
                "implementation_name": "cpython",
                "implementation_version": f"{self.dotted}.0",
                "os_name": "posix",
                "platform_machine": self.machine,
                "platform_python_implementation": "CPython",
                "platform_system": "Linux",
                "python_full_version": f"{self.dotted}.0",
                "python_version": self.dotted,
                "sys_platform": "linux",
            }
        )

    def __str__(self) -> str:
        return f"CPython {self.dotted} on {self.machine} Linux"
