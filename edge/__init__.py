"""Kerbstone's daemon and command: from the wires in the cabinet to the city's broker."""
