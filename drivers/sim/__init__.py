"""The other side of the wire: devices that answer as the real ones do."""
