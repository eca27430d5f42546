"""Networks whose weights evolve with their topology, as NEAT had them."""
