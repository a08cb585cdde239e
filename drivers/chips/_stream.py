"""Finding where a frame may begin in what a serial line brought."""


def begun(data: bytes, head: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `head`: they have to stay."""
    return next((n for n in range(len(head) - 1, 0, -1) if data.endswith(head[:n])), 0)
