"""Errors that a user can mend: shown without a traceback, with exit status 1."""


class UserError(ValueError):
    """A user's mistake; the message names it, the value received and the remedy."""


class MissingPackage(UserError, ModuleNotFoundError):
    """An optional package that is not installed; the message has its `pip install` line."""
