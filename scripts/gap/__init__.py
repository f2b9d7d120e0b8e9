"""What the programs of the workflow share."""
