"""The one exception that bad input raises."""


class PoseError(ValueError):
    """A video, a cache file or an argument is wrong; the message is one line for the user: what, and the way out."""
