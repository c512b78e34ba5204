"""The one exception that user errors raise."""


class UserError(ValueError):
    """Something the user can mend; its message is one line that names the file or field and the cure."""
