"""What a config means: sizes, seeds, trials, recipes."""
