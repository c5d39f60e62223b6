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


def row(id, prompt, completion=(90, 91), kind="correction", of=None, **more):
    return TrainRow(id, "g", (), tuple(prompt), "", tuple(completion), None, kind, of, **more)


PAIRS = [row(f"p{n}", (1, 2, 3, 10 + n)) for n in range(10)]
VARIANTS = [
    row(f"p{n}~{k}", (1, 2, 3, 50 + n, k), kind="variant", of=f"p{n}")
    for n in range(10)
    for k in range(3)
]
REPLAY = [row(f"r{n}", (1, 2, 70 + n), kind="replay") for n in range(6)]
RECOMBINED = [row(f"new{n}", (1, 2, 3, 100 + n), kind="recombined") for n in range(9)]
RAFT = [
    row(f"p{n}~raft{k}", (1, 2, 3, 80 + n, k), kind="raft", of=f"p{n}")
    for n in range(5)
    for k in range(2)
]
THUMBS = [
    row(f"t{n}", (1, 2, 3, 30 + n), (60 + n,), kind="thumb", label=n % 3 > 0) for n in range(7)
]
COMPARED = [
    row(f"c{n}", (1, 2, 3, 10 + n, 4, 5), rejected_ids=(40 + n,) * (n + 1)) for n in range(4)
]
