"""One streaming model for all series of a gateway: onset and state of an anomaly, per series."""
