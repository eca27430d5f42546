"""What can be built: spaces of architectures and of the hyperparameters that train them."""
