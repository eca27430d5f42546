"""Encodings of cells, small directed acyclic graphs of operations."""
