"""The one exception that user errors raise."""


class UserError(ValueError):
    """Something the user can mend; the message is one line naming file or field and the cure."""
