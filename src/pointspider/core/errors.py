"""The exception for errors that the user can correct."""


class InputError(ValueError):
    """Bad input. The message names the file or key, says what is wrong and what to do."""
