"""From the contacts of loops to what a lane says about a window."""
