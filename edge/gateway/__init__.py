"""The composition root: the only package of the daemon that knows every part."""
