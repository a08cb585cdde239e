"""Who this gateway is: its claim, its key, its certificate. A process of its own."""
