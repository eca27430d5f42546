"""Spaces of generative adversarial networks: generator and discriminator as one pair."""
