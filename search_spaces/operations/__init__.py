"""The operations of cells, and the layers around them."""
