"""The words that several tables of site.toml share: names, paths, how a wire is set."""

from typing import Annotated, Literal

from msgspec import Meta

Name = Annotated[
    str,
    Meta(
        pattern=r"[a-z0-9_-]{1,64}",
        extra={"form": "1 to 64 of a-z, 0-9, _ and -"},  # it becomes part of a topic
    ),
]
Folder = Annotated[str, Meta(pattern=r"/.*", extra={"form": "a path that begins with /"})]
Wire = Annotated[
    str,
    Meta(
        pattern=r"(sim:)?/.*",
        extra={"form": "a path that begins with /, or sim:/path of a simulator's socket"},
    ),
]
Port = Annotated[
    str, Meta(pattern=r"/.*", extra={"form": 'a port such as "/dev/serial/by-id/..."'})
]
Line = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9_.:/-]{1,64}\Z",
        extra={"form": 'a GPIO line: "GPIO17", an offset in quotes, or a name'},
    ),
]
Baud = Literal[300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]
Parity = Literal["N", "E", "O"]
Bits = Literal[7, 8]
Stop = Literal[1, 2]
Timeout = Annotated[
    float, Meta(ge=0.05, le=30.0, description="Seconds to wait for an answer before giving up.")
]
