"""The space of translators between two sets of images."""
