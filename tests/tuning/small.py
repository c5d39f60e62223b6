"""Rows of a few made-up token ids, and the dials of a round on the tiny base."""

from tuning.bundle import TrainRow

DIALS = {
    "method": "lora",
    "epochs": 60,
    "batch_size": 4,
    "rank": 8,
    "alpha": 32,
    "learning_rate": 0.02,
    "learned_loss": 0.02,
    "threads": 1,
}


def row(id, prompt, completion=(90, 91), kind="correction", of=None):
    return TrainRow(id, "g", (), tuple(prompt), "", tuple(completion), None, kind, of)


PAIRS = [row(f"p{n}", (1, 2, 3, 10 + n)) for n in range(10)]
VARIANTS = [
    row(f"p{n}~{k}", (1, 2, 3, 50 + n, k), kind="variant", of=f"p{n}")
    for n in range(10)
    for k in range(3)
]
REPLAY = [row(f"r{n}", (1, 2, 70 + n), kind="replay") for n in range(6)]
