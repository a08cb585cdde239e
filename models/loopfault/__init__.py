"""The loopfault model: which loops are not to be believed, and what is wrong with them."""
