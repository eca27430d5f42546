"""Autoencoders: trained, scored, searched by gradient."""
