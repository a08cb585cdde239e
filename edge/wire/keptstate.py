"""States that outlive the process: packed with a version by their owner, unpacked if it fits."""

from typing import Any

import msgpack

from edge.core import StoredState


def pack_state(version: int, snapshot: Any) -> StoredState:
    """What the outbox keeps for one owner."""
    return version, msgpack.packb(snapshot)


def unpack_state(stored: StoredState | None, version: int) -> Any:
    """For `restore`; None if there is none, or one of another version.

    Raises ValueError for bytes that are none of MessagePack.
    """
    if stored is None or stored[0] != version:
        return None
    try:
        return msgpack.unpackb(stored[1], strict_map_key=False)
    except TypeError as error:  # a map or a list as a key
        raise ValueError(str(error)) from error
