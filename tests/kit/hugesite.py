"""A site file in order, and far too large for a box."""

from typing import Final

BUSES: Final = 8
UNITS: Final = 240
LIMIT: Final = 128 << 10  # bytes of a site file


def huge_site(text: str) -> str:
    """The file, and 1,920 meters on 8 buses of Modbus TCP where nobody answers."""
    many = [text.rstrip("\n") + "\n"]
    for bus in range(BUSES):
        many.append(f'[bus.b{bus}]\nkind = "modbus-tcp"\nhost = "127.0.0.{bus + 2}"\n')
        many += [
            f'[device.m{bus}_{unit}]\ndriver = "sdm630"\nbus = "b{bus}"\nunit = {unit}\n'
            for unit in range(1, UNITS + 1)
        ]
    found = "".join(many)
    assert len(found.encode()) < LIMIT
    return found
