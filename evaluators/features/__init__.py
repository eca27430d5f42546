"""What samples are compared by: networks that describe images."""
