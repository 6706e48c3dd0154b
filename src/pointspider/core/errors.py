"""The one error that is the user's to mend."""


class InputError(ValueError):
    """Bad input: the message names the file or key, what was wrong and what to do."""
