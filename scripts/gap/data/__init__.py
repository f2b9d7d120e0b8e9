"""From sources to token ids."""
