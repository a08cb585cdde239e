"""Corrections of measured values: from what a sensor said to what its certificate makes of it."""

from edge.process.calibration.calibrator import Calibrator
from edge.process.calibration.correction import Correction, GasCell, InputPoint
from edge.process.calibration.inputs import MAX_AGE_NS, CalibrationInputs

__all__ = ["MAX_AGE_NS", "CalibrationInputs", "Calibrator", "Correction", "GasCell", "InputPoint"]
