"""Is an approach congested: occupancy tuned per loop position, as a graph with state in and out."""
