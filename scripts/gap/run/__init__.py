"""What every program needs, whatever it does: errors, files, digests, state, processes."""
