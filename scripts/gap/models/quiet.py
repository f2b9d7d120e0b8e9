"""Keeps transformers from filling logs; import this where transformers is imported."""

from transformers.utils import logging

# Bars for loading a file, and the report that a new head has no weights yet, would hide in every
# log the lines that matter.
logging.disable_progress_bar()
logging.set_verbosity_error()
