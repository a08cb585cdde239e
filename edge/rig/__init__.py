"""The rig: hardware in the loop. A scenario file drives a box under test, breaks things on purpose,
and says by what the box sent whether it kept its promises."""
