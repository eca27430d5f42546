"""What GANs and CycleGANs share.

task: the base of both tasks.
training: two optimisers and a moving average.
losses: adversarial losses by name, and the penalties of discriminators.
diff_augment: augmentations of what a discriminator sees.
collapse: the thresholds from which on a generator counts as collapsed.
snapshots: the best epoch so far, and when to stop.
selection: hands over the best snapshot.
"""
