"""Autoencoders.

task: what is special about training and scoring them.
families: which loss is whose; losses and others: the losses of all families, each of a batch.
bounds: likelihoods of variational ones, and what they are scored by.
scores: the metrics of reconstructions.
"""
