"""GANs: trained, scored, searched by gradient."""
