"""Executors, which evaluate the trials of a search.

inline       one after the other in this process
ray_tune     several at once, each in a process of its own, here or on a cluster
evaluation   the steps of an evaluation, and what an exception means for its trial
"""
