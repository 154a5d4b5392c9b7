"""What a user can mend: shown without a traceback, with exit status 1."""


class UserError(ValueError):
    """A mistake that the message names, with the value received and the remedy."""


class MissingPackage(UserError, ModuleNotFoundError):
    """An optional package that is not installed; the message has its `pip install` line."""
