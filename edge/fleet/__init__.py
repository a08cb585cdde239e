"""Many simulated gateways in one process: a load to measure brokers and stores with."""
