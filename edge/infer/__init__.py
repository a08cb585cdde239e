"""Flags from the windows: small models, and published rules where a model cannot answer."""
