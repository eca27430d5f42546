"""What is searched on: images, vectors or sequences, loaded, sized and split."""
