"""Physics between the points of one device: a value that its neighbour contradicts is not good."""

from edge.process.plausibility.plausibilitychecks import Plausibility, faults_over

__all__ = ["Plausibility", "faults_over"]
