"""Corrections of measured values: from what a sensor said to what its certificate makes of it."""

from edge.process.calibration.correction import Correction, GasCell, Input
from edge.process.calibration.device import Calibrator
from edge.process.calibration.inputs import MAX_AGE_NS, Inputs

__all__ = ["MAX_AGE_NS", "Calibrator", "Correction", "GasCell", "Input", "Inputs"]
