"""The page on the gateway: who may look without a login, and whether settings are open."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Web(Struct, frozen=True, kw_only=True):
    """Read by `kerbstone web`, the page for a browser, see [web.md](web.md)."""

    without_login: Annotated[
        Literal["nothing", "read"],
        Meta(
            description="What a browser sees without a login. `read`: everything "
            "that changes nothing, for everybody who can reach the page."
        ),
    ] = "nothing"
    settings: Annotated[
        bool,
        Meta(description="`false`: the page changes nothing, also after a login."),
    ] = True
    names: (
        Annotated[
            tuple[str, ...],
            Meta(
                description="Names (8 at most) by which a browser may call this box, beside "
                "its addresses and names ending in `.local`, `.lan` and `.home.arpa`.",
            ),
        ]
        | None
    ) = None
