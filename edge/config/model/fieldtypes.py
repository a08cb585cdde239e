"""The words that several tables of site.toml share: names, paths, how a wire is set."""

from typing import Annotated, Literal

from msgspec import Meta

from edge.core.displayname import DISPLAY_NAME_LIMIT, check_display_name

Name = Annotated[
    str,
    Meta(
        pattern=r"[a-z0-9_-]{1,64}",
        extra={"form": "1 to 64 of a-z, 0-9, _ and -"},  # it becomes part of a topic
    ),
]
ShownText = Annotated[
    str,
    Meta(
        extra={
            "form": f"a text of 1 to {DISPLAY_NAME_LIMIT} letters of any script",
            "kept": check_display_name,
        }
    ),
]
DisplayName = Annotated[
    ShownText,
    Meta(
        description="What people call it. The status and the city show it beside the name of the "
        "table; it is never part of a topic."
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
Latitude = Annotated[
    float,
    Meta(
        ge=-90.0, le=90.0, description="Degrees north of the equator (WGS 84); south is negative."
    ),
]
Longitude = Annotated[
    float,
    Meta(ge=-180.0, le=180.0, description="Degrees east of Greenwich (WGS 84); west negative."),
]
Timeout = Annotated[
    float, Meta(ge=0.05, le=30.0, description="Seconds to wait for an answer before giving up.")
]
