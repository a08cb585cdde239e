"""What runs inside the guest of the layer `qemu`: its first programs, and the rig's hand in it."""
