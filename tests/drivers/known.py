"""What a device has, by the keys of its points: those that it does not have are left out."""

from edge.core import Bad, Polled, Reason, Sample


async def read(device: Polled) -> dict[str, Sample]:
    samples = zip(device.points, await device.read(), strict=True)
    return {point.key: sample for point, sample in samples if sample != Bad(Reason.ADDRESS)}
