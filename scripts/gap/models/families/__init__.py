"""One file for each family of models, called as the config calls it; see `gap.models.family`."""
