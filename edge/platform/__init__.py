"""The city's side: listen to gateways, and prove that everything has come, once."""
