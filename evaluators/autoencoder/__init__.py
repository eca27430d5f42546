"""Autoencoders.

task: what is special about training and scoring them.
losses: the losses of all families.
scores: the metrics of reconstructions.
"""
