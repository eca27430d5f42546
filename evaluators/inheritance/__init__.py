"""Weight inheritance: a child's network begins with its parent's tensors."""
