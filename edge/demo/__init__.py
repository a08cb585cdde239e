"""A simulated intersection, a broker and a subscriber on this machine: what `make demo` runs."""
