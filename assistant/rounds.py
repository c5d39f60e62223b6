"""A round as the house runs it: collect, write the bundle, run it, record, serve.

`tuning` knows neither chat nor engine; what it needs is handed to it here as values and functions.
"""

import logging

log = logging.getLogger(__name__)

CANDIDATE = 0
"""The engine's name for the adapter under evaluation; real adapters count from 1."""
