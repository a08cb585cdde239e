"""The way out: the network's profile, a link that is kept alive, bytes that cost. Own processes."""
