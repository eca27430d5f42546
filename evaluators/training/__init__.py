"""What all trainings use.

epochs: the loop over updates and the state to continue from.
single_network: the training of one network by one loss.
selection: which epoch is handed over.
checkpoint: packs states into a file and loads them.
optimisers, muon, schedules: optimisers and learning rates by name.
augmentations: augmentations of images by name.
moving_average: the exponential moving average of a network.
growth: networks that grow while they are trained.
"""
