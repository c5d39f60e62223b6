"""Which token sees which, in the form that a model takes. Needs torch; import late.

A mask that is handed over whole stands in for the ones a model makes itself, sliding windows among
them: a model with a window of 512 would be taught to look back over the whole prompt.
"""

from typing import Any

import torch


def masks(model: Any, seen: torch.Tensor, positions: torch.Tensor) -> Any:
    """`attention_mask` for a transformers model.

    `seen` is (tokens, tokens), true where a token may look, without regard to a window;
    `positions` are the tokens' places in their own rows. A model whose layers are not all of one
    kind takes a mask for each kind, by its name.
    """
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or ()
    window = getattr(config, "sliding_window", None)
    whole = _form(config, seen)
    if window is None or (kinds and "sliding_attention" not in kinds):
        return whole
    back = positions[:, None] - positions[None, :]
    near = _form(config, seen & (back < window))
    return {"full_attention": whole, "sliding_attention": near} if kinds else near


def _form(config: Any, seen: torch.Tensor) -> torch.Tensor:
    """(1, 1, tokens, tokens); attention in plain torch adds its mask to the scores."""
    if config._attn_implementation == "eager":
        least = torch.finfo(torch.float32).min
        seen = torch.zeros(seen.shape, device=seen.device).masked_fill(~seen, least)
    return seen[None, None]
