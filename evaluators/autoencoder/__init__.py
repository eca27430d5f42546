"""Autoencoders.

task: what is special about training and scoring them.
losses: the losses of all families.
bounds: likelihoods of variational ones, and what they are scored by.
scores: the metrics of reconstructions.
"""
