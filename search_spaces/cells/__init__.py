"""Encodings of cells, small directed acyclic graphs of operations: by edges, by motifs of motifs, as graphs that grow."""
