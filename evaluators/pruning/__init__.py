"""Structured pruning: whole channels are removed."""
