"""Plays the cabinet of a site: all its devices, lanes and contacts, on simulated wires."""
