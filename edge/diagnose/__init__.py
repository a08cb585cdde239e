"""For the technician at the box: search buses, test devices, read one by hand, rescue files."""
