"""What the programs of the workflow share."""

# The version of the whole workflow; CITATION.cff, CHANGELOG.md and pyproject.toml repeat it.
__version__ = "0.2.0"
