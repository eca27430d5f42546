"""Supernets: all candidates of a space trained as one.

darts: trains a supernet of single networks, and chooses its operations by gradient.
bilevel: gradients of the alphas, and genotypes drawn from these.
paths: trains a supernet a path at a time, and extracts candidates from it.
recalibration: the batch normalisation of one candidate.
"""
