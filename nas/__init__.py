"""Neural architecture search and hyperparameter optimisation of generative models."""
