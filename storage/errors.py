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
