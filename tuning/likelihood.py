"""How likely a model finds given answers, in one pass and without a gradient.

Import late: this file brings torch. The scoring by likelihood of multiple-choice questions follows
Brown et al. 2020 (arXiv:2005.14165, section 2.4): mean log-probability a token of each option.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from tuning.sentinel import Choice, compare
from tuning.sight import masks
from tuning.token_tree import Tree, trees

TREE_TOKENS = 384
"""Tokens computed at once. A 135M base took 8.1 s of a core with 384, 9.4 with 1024, 10.7 with 192:
more is attention among strangers, less repeats the common beginning more often."""

Notice = Callable[[dict[str, Any]], None]


def measure_forgetting(
    model: Any, choices: Sequence[Choice], on_progress: Notice
) -> dict[str, Any] | None:
    """What the adapter of `model` (a PEFT model) has lost of what its base prefers.

    The fields of `Forgetting`, or None without choices. `on_progress` gets {"note"}: both sides
    are checked, the base first.
    """
    if not choices:
        return None

    def told(before: int) -> Callable[[int], None]:
        of = 2 * len(choices)
        return lambda done: on_progress(
            {"note": f"checking general knowledge: {before + done} of {of}"}
        )

    base = mean_log_probs(model, choices, told(0), under=model.disable_adapter)
    candidate = mean_log_probs(model, choices, told(len(choices)))
    return compare(choices, base, candidate).to_json()


def mean_log_probs(
    model: Any,
    choices: Sequence[Choice],
    on_choice: Callable[[int], None] = lambda done: None,
    under: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[list[float]]:
    """For each choice, for each option: its mean log-probability a token, in nats.

    `under` is entered for the computation (`model.disable_adapter` gives the base's figures);
    `on_choice` gets the number of choices done. The model's mode is left as it was.
    """
    found: list[list[float]] = [[] for _ in choices]
    was_training, done = model.training, 0
    model.eval()
    try:
        with torch.inference_mode(), under():
            for tree in trees(choices, TREE_TOKENS):
                edges = _edge_log_probs(model, tree)
                for place, options in zip(tree.places, tree.answers, strict=True):
                    found[place] = [float(edges[numbers].mean()) for numbers in options]
                done += len(tree.places)
                on_choice(done)
    finally:
        model.train(was_training)
    return found


def _edge_log_probs(model: Any, tree: Tree) -> np.ndarray:
    """The log-probability of each of the tree's edges: shape (edges,), in nats."""
    device = model.device
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    positions = torch.tensor(tree.positions, device=device)
    hidden = base.base_model(
        input_ids=torch.tensor([tree.ids], device=device),
        position_ids=positions[None],
        attention_mask=masks(base, torch.from_numpy(_sight(tree)).to(device), positions),
        use_cache=False,
    ).last_hidden_state[0]
    asked = sorted({place for place, _ in tree.edges})
    row_of = {place: row for row, place in enumerate(asked)}
    logits = base.get_output_embeddings()(hidden[torch.tensor(asked, device=device)]).float()
    rows = torch.tensor([row_of[place] for place, _ in tree.edges], device=device)
    tokens = torch.tensor([token for _, token in tree.edges], device=device)
    chosen = logits[rows, tokens] - torch.logsumexp(logits, -1)[rows]
    return chosen.cpu().double().numpy()


def _sight(tree: Tree) -> np.ndarray:
    """(tokens, tokens), true where a token may look: at itself and the tokens of its path."""
    size = len(tree.ids)
    sight = np.zeros((size, size), dtype=bool)
    for place, parent in enumerate(tree.parents):
        if parent >= 0:
            sight[place] = sight[parent]
        sight[place, place] = True
    return sight
