"""CycleGANs.

task: what is special about training and scoring them.
training: the steps of translators and discriminators.
losses: what translators minimise.
image_buffer: translated images of earlier steps, for the discriminators.
"""
