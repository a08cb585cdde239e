"""How bytes move on a wire: the only place with hardware libraries."""
