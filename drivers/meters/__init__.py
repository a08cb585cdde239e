"""Modbus meters: one flat table each, and one interpreter for all of them."""
