"""Checks a study's config."""
