"""From buses to sweeps and contacts: when to ask, what time it is, how far to trust an answer."""
