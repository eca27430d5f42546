"""What is searched on: images, loaded, resized and split."""
