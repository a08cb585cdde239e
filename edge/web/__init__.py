"""The page on the gateway: what a technician reads and does on a phone, at the open door.

A process of its own without any right of its own: all that it shows and all that it changes goes
through the daemon's control socket, as with every command. Begin with `webapp.py`.
"""
