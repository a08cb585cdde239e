"""Topics, payloads and the broker: what was kept is sent, and forgotten when it is confirmed."""
