"""Networks that describe images, so that samples can be scored.

extractor: the extractor of a data set, trained once and kept.
training: the small networks and how they are trained.
inception: torchvision's Inception v3.
"""
