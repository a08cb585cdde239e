"""What the bytes of one device mean: a small file for each device that needs code."""
