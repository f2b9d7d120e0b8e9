"""What jobs cost, and what they ask of a cluster."""
