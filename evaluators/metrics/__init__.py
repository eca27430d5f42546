"""Metrics: pure functions, each checked against a reference in the tests.

reconstruction: mean squared error, PSNR, SSIM.
likelihood: log-likelihoods and divergences.
samples: how good samples are, compared with images of the data.
translations: how good translations between two domains are.
cost: parameters, multiply-adds, memory and time.
"""
