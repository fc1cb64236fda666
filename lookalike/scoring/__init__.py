"""Numbers for pairs of images."""
