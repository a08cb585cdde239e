"""Corrections of measured values: from what a sensor said to what its certificate makes of it."""

from edge.process.calibration.correction import Correction, GasCell, Input
from edge.process.calibration.device import Calibrator
from edge.process.calibration.inputs import Inputs

__all__ = ["Calibrator", "Correction", "GasCell", "Input", "Inputs"]
