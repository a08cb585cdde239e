"""The checks of the kit, one file for each part of the contract."""
