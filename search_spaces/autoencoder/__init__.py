"""The autoencoder space."""
