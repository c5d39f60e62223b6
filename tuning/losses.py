"""What a part of a step costs, computed at its labels alone. Needs torch; import late.

A part holds the common beginning of its rows once, so the figures are those of separate rows. For
preferences the reference is the base itself: the model with its adapter off.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from tuning.batches import Part, mismatched, parts
from tuning.bundle import TrainRow
from tuning.sight import masks


def token_losses(model: Any, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    """For each label of the part: its negative log-likelihood, and whether it is the likeliest.

    Both of shape (labels,). The same figures as each row alone would give.
    """
    logits = _logits(model, _states(model, part))
    labels = torch.tensor(part.labels, device=logits.device)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return losses, logits.detach().argmax(-1) == labels


def drifts(model: Any, part: Part, known: dict[str, torch.Tensor]) -> torch.Tensor:
    """For each label of the part: how far the adapter has moved the base's whole distribution.

    The Kullback-Leibler divergence from the base to the adapted model, in nats, shape (labels,).
    Held small on ordinary text it keeps what the base knows (Li and Hoiem 2016, "Learning without
    Forgetting", arXiv:1606.09282); to learn the base's answers as texts held much less of it.
    """
    base = _base_states(model, part, known)
    before, after = (
        torch.log_softmax(_logits(model, states), -1) for states in (base, _states(model, part))
    )
    return torch.nn.functional.kl_div(after, before, log_target=True, reduction="none").sum(-1)


def row_sums(values: torch.Tensor, part: Part) -> torch.Tensor:
    """The values of the part's labels summed by row: (labels,) to (rows,)."""
    rows = torch.tensor(part.label_rows, device=values.device)
    return values.new_zeros(len(part.rows)).index_add(0, rows, values)


def log_ratios(
    model: Any, part: Part, losses: torch.Tensor, known: dict[str, torch.Tensor]
) -> torch.Tensor:
    """For each row: log-likelihood of its completion by the model less that by the base, (rows,).

    `losses` are the part's `token_losses`. What the base says is computed once and kept in `known`.
    """
    if any(row.id not in known for row in part.rows):
        with torch.no_grad(), model.disable_adapter():
            sums = -row_sums(token_losses(model, part)[0], part)
        known.update(zip((row.id for row in part.rows), sums, strict=True))
    reference = torch.stack([known[row.id] for row in part.rows])
    return -row_sums(losses, part) - reference


def dpo_losses(chosen: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """The loss of each pair from the log-ratios of its two answers, all (pairs,).

    Rafailov et al. 2023, arXiv:2305.18290, equation 7; TRL's `sigmoid`.
    """
    return -logsigmoid(beta * (chosen - rejected))


def kto_losses(
    ratios: torch.Tensor, liked: torch.Tensor, kl: torch.Tensor, beta: float
) -> torch.Tensor:
    """The loss of each thumb, 0 to 1, from the log-ratio of its reply; `liked` says which are up.

    Ethayarajh et al. 2024, arXiv:2402.01306, equation 8, weights apart; `kl` is their reference
    point.
    """
    return 1 - torch.sigmoid(beta * torch.where(liked, ratios - kl, kl - ratios))


def kl_estimate(model: Any, thumbs: Sequence[TrainRow], most_tokens: int) -> torch.Tensor:
    """How far the model is from the base, in nats, on replies to other prompts than their own.

    Never below 0, and 0 of fewer than two; no gradient goes through it.
    """
    total = torch.zeros((), device=model.device)
    if len(thumbs) < 2:
        return total
    with torch.no_grad():
        for part in parts(mismatched(thumbs), most_tokens):
            total += log_ratios(model, part, token_losses(model, part)[0], {}).sum()
    return (total / len(thumbs)).clamp(min=0)


def _base_states(model: Any, part: Part, known: dict[str, torch.Tensor]) -> torch.Tensor:
    """The base's own `_states`, computed once for each row and then kept in `known`.

    A row comes round some six times: to compute it anew took a tenth of a round. What is kept are
    states and not logits, which would be 85 times as much (49152 words for 576 values).
    """
    if any(row.id not in known for row in part.rows):
        with torch.no_grad(), model.disable_adapter():
            states = _states(model, part)
        sizes = [len(row.completion_ids) for row in part.rows]
        known.update(zip((row.id for row in part.rows), states.split(sizes), strict=True))
    return torch.cat([known[row.id] for row in part.rows])


def _states(model: Any, part: Part) -> torch.Tensor:
    """What the last block says where the part has labels: (labels, width)."""
    base, device = model.get_base_model(), model.device
    positions = torch.tensor(part.positions, device=device)
    hidden = base.base_model(
        input_ids=torch.tensor([part.ids], device=device),
        position_ids=positions[None],
        attention_mask=masks(base, _seen(part, device), positions),
        use_cache=False,
    ).last_hidden_state[0]
    return hidden[torch.tensor(part.label_at, device=device)]


def _logits(model: Any, states: torch.Tensor) -> torch.Tensor:
    """The output layer, which no adapter changes: (states, vocabulary), fp32."""
    return model.get_base_model().get_output_embeddings()(states).float()


def _seen(part: Part, device: torch.device) -> torch.Tensor:
    """(tokens, tokens), true where a token may look: back, at its row or its beginnings."""
    segments = torch.tensor(part.segments, device=device)
    above = torch.tensor(part.above, device=device)
    seen = segments[None, :] == segments[:, None]
    seen |= (segments[None, :] == 0) | (segments[None, :] == above[:, None])
    return seen.tril()
