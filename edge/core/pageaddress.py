"""Where a phone or a laptop at the open door finds the page of the gateway.

Fixed, because they stand on the label inside the door. Of a private network that hardly anybody
uses, so that the way to the city seldom has the same one.
"""

from typing import Final

PREFIX: Final = 24  # bits of both networks
ACCESS_POINT_ADDRESS: Final = "10.213.47.1"
GADGET_ADDRESS: Final = "10.213.48.1"  # of the laptop's USB cable


def page_url(address: str = ACCESS_POINT_ADDRESS) -> str:
    return f"https://{address}/"
