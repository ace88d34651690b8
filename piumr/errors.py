"""The one exception that bad input raises."""


class PiumrError(ValueError):
    """Something the user gave is wrong; the message says what was expected, what came and the way out.

    Commands print the message as one line and exit with code 2.
    """
