"""Secrets that a label shows and people type: groups of letters of which no two look alike."""

import secrets
from typing import Final

LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # without i, l, o, 0 and 1: 4.95 bits each
GROUP: Final = 4  # letters between two dashes
GROUPS: Final = 4  # 79 bits


def make_printed_secret() -> str:
    """A new one, as `abcd-efgh-jkmn-pqrs`. The dashes belong to it."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP)) for _ in range(GROUPS))
