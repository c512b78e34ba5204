"""The one exception that user errors raise."""


class UserError(ValueError):
    """Something the user can mend; the message names file or field, and the cure."""
