"""GANs.

task: what is special about training and scoring them.
training: the steps of generator and discriminator.
sampling: samples to be scored and to be shown.
bilevel: trains the weights and alphas of a supernet of pairs.
supernet: measures the training of such a supernet, and restarts it after a collapse.
collapse_detector: detects that such a training has collapsed.
"""
