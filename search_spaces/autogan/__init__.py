"""AutoGAN's space, as published."""
