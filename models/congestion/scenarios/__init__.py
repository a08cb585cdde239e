"""Simulated streets: how the demo's trace was made. They need Eclipse SUMO, at a desk, once."""
