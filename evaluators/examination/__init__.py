"""Judges trained autoencoders by what people use them for, on data of any shape.

subject          the model, as its uses see it
examination      all uses, one after another
effort           how much of the data they look at
reconstruction   how well examples come back
likelihood       bounds of a variational model's log-likelihood, and whether its posterior has collapsed
codebook         how much of a codebook is used
latent           what codes say of labels: linear probe, nearest neighbours, clusters
disentanglement  whether latents stand for known factors
transfer         a classifier of few labels, on codes and on the examples themselves
robustness       reconstructions of noisy, rotated and scaled examples
anomalies        telling the normal from the rest, beside isolation forests and principal components
embedding        pictures of the codes in the plane
traversal        pictures of what lies between codes
figures          how pictures of numbers are drawn
"""
