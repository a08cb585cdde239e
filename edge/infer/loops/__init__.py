"""The health of loops: is each one to be believed, and if not, what is wrong with it."""
