"""What a test calls in other processes, in a file that imports nothing: they import it, too."""


def explode(error: Exception) -> None:
    """Raise an error."""
    raise error
