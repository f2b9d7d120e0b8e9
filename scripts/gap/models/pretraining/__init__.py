"""How checkpoints are pretrained on texts without labels."""
