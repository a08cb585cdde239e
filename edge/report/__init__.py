"""What people read of a gateway: its status as text, and plots of what was recorded. Pure."""
