"""The one exception for user errors."""


class UserError(ValueError):
    """An error the user can fix; the message names the file or field, and the fix."""
