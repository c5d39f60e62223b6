"""`python -m assistant VERB ...` is `apprentice VERB ...`."""

import sys

from assistant.cli import main

if __name__ == "__main__":
    sys.exit(main())
