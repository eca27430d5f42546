"""Structured pruning: whole channels are removed from a trained model.

pruning: chooses the channels of least magnitude, removes them, and loads pruned models.
channels: which channels can be removed, and the model without them.
dependency_graph: which channels of different layers depend on each other.
"""
