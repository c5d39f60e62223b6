"""How OpenMP's threads wait for one another. Set before torch or llama.cpp is loaded."""

import os

SPINS = "1000"
"""Looks before a waiting thread sleeps; about 50 us, longer than an undisturbed wait."""


def be_fair_to_others() -> None:
    """Let threads that wait give up their core to whoever keeps them waiting.

    libgomp looks 300,000 times by default, about 15 ms, at each of the 450 barriers that a token
    has: beside a round on the same two cores that made 4 tokens a second where this makes 27. A
    value that the user has set stays. Children inherit it.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
