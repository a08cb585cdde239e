"""Whether a gateway keeps the contract: ours or another maker's, as a city's broker sees it."""
