"""Errors that a user can correct; the command line shows them without a traceback and exits with status 1."""


class UserError(ValueError):
    """A user's mistake; the message names the mistake, the value received and the remedy."""


class MissingPackage(UserError, ModuleNotFoundError):
    """An optional package is not installed; the message contains its `pip install` line."""
