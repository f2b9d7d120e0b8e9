"""From the rows of a source to a pool and a test set that are apart from each other."""
