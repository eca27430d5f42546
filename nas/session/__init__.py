"""A run begun or gone on with: start, resume, train, prune."""
