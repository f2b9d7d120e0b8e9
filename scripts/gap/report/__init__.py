"""Charts, summary and report."""
