"""Physics between the points of one device: a value that its neighbour contradicts is not good."""

from edge.process.plausibility.device import Plausibility, over

__all__ = ["Plausibility", "over"]
