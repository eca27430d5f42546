"""How good a candidate is: data sets, training, and metrics."""
