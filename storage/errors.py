"""What a person may be told.

Every error whose text is written for the person in front of the screen derives from
`ApprenticeError`: the command line prints it and exits 2, a page shows it, the API answers 4xx.
Anything else is a bug and keeps its traceback.
"""


class ApprenticeError(Exception):
    """One sentence that names what is wrong, the value, and the remedy."""


class BadInput(ApprenticeError):
    """The value given cannot be used."""


class NotFound(ApprenticeError):
    """What was asked for does not exist, or may not be seen by who asks."""


class Refused(ApprenticeError):
    """The thing asked for exists, but may not be done now or by this person."""


class Moving(Refused):
    """The workspace is on its way to another cell: the same is to be tried again in a moment."""

    def __init__(self) -> None:
        super().__init__("This workspace is being moved to another server: try again in a second.")
