"""The way to the city: what its bytes cost, and what this box can switch to keep it open."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from edge.config.model.fieldtypes import Line

MB: Final = 1_000_000  # as a contract counts it
INTERFACES_BY_KIND: Final = {  # interfaces of a kind of network, by the kernel's names
    "ethernet": ("eth*", "en*"),
    "wifi": ("wl*",),
    "cellular": ("wwan*", "ppp*", "usb*"),
}
INTERFACE: Final = r"\A(?!lo\Z)[A-Za-z0-9_.-]{1,15}\Z"
USB: Final = r"\A[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,5}\Z"  # as the kernel names a port


class Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read by `kerbstone-link`, see [link.md](link.md): without `kerbstone-link`, bytes are
    not limited and no modem is switched."""

    budget_mb: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="MB (of 1,000,000 bytes) a month, in and out together. From "
            "80 % on records are sent together every quarter of an hour; "
            "from 95 % on minutes are merged into quarter hours. 0: no "
            "limit.",
        ),
    ] = 0
    billing_day: Annotated[
        int, Meta(ge=1, le=28, description="The day of the month on which the budget starts again.")
    ] = 1
    interfaces: (
        Annotated[
            tuple[str, ...],
            Meta(
                description="Interfaces whose bytes count, such as `wwan*`; if left out, "
                "the usual ones for the kind of network."
            ),
        ]
        | None
    ) = None
    usb: (
        Annotated[
            str,
            Meta(
                pattern=USB,
                extra={"form": 'a port of USB as the kernel names it, such as "1-1.2"'},
                description="The modem's USB port: a modem that hangs is removed from it "
                "and added again.",
            ),
        ]
        | None
    ) = None
    modem_power_line: (
        Annotated[Line, Meta(description="The GPIO line that switches the modem's supply.")] | None
    ) = None
    power_off_level: Annotated[
        Literal["high", "low"],
        Meta(description="The level of that line at which the modem has no supply."),
    ] = "high"
    status_led: Annotated[Line, Meta(description="The GPIO line of the status LED.")] | None = None
    button_line: (
        Annotated[
            Line,
            Meta(
                description="The GPIO line of a button to ground: held for two seconds, it opens "
                "the access point for an hour ([access-point.md](access-point.md))."
            ),
        ]
        | None
    ) = None
    access_point_interface: (
        Annotated[
            str,
            Meta(
                pattern=INTERFACE,
                extra={"form": 'an interface as the kernel names it, such as "wlan0"'},
                description="The radio that becomes the access point; if left out, the first one.",
            ),
        ]
        | None
    ) = None
    page_interfaces: (
        Annotated[
            tuple[
                Annotated[
                    str,
                    Meta(
                        pattern=INTERFACE,
                        extra={"form": 'an interface as the kernel names it, such as "eth0"'},
                    ),
                ],
                ...,
            ],
            Meta(
                description="Interfaces on which the page can be reached at any time, such as "
                "`eth0`. Without it, the page is on the access point, the USB gadget and this "
                "machine only.",
            ),
        ]
        | None
    ) = None
    chip: Annotated[
        str,
        Meta(
            pattern=r"\A(/dev/|sim:/).*\Z",
            extra={"form": 'a GPIO chip such as "/dev/gpiochip0"'},
            description="The chip of these lines.",
        ),
    ] = "/dev/gpiochip0"
    reboot: Annotated[
        bool,
        Meta(
            description="The box may restart when everything else has failed, at most once a day."
        ),
    ] = True

    @property
    def budget(self) -> int:
        """Bytes of a month; 0 is none."""
        return self.budget_mb * MB

    def names(self, kind: str) -> tuple[str, ...]:
        """Interfaces that count on a network of this kind, as patterns."""
        return self.interfaces or INTERFACES_BY_KIND[kind]
