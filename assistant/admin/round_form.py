"""What a person may ask of a round: minutes, objective, method, start, and any other dial."""

from typing import Any

import gradio as gr

from assistant.admin.adapters_view import adapter_label
from assistant.admin.desk import Desk, Updates
from storage.adapters import list_adapters
from storage.errors import BadInput

OBJECTIVES = [
    ("Whatever fits (auto)", "auto"),
    ("Corrections (sft)", "sft"),
    ("Corrections against wrong answers (dpo)", "dpo"),
    ("Thumbs, and corrections if any (kto)", "kto"),
]
METHODS: dict[str, tuple[str, dict[str, str]]] = {
    "auto": ("Whatever fits (auto)", {}),
    "lora": ("LoRA", {"method": "lora"}),
    "qlora": ("QLoRA, base in 4 bits", {"method": "qlora", "quantization": "nf4"}),
    "qlora int8": ("QLoRA, base in 8 bits", {"method": "qlora", "quantization": "int8"}),
    "dora": ("DoRA", {"method": "dora"}),
    "rslora": ("rsLoRA", {"method": "rslora"}),
    "ia3": ("IA3", {"method": "ia3"}),
    "bottleneck": ("Bottleneck (Pfeiffer)", {"method": "bottleneck", "placement": "pfeiffer"}),
    "bottleneck houlsby": (
        "Bottleneck (Houlsby)",
        {"method": "bottleneck", "placement": "houlsby"},
    ),
}
"""Choice -> its name, and the dials that it stands for."""
BUDGET = "budget"
STARTS = [("As the minutes allow", BUDGET), ("The base model", "base")]


class RoundForm:
    """The fields, and what they come to as dials and a start."""

    def __init__(self) -> None:
        with gr.Row(elem_id="round-row"):
            self.minutes = gr.Number(
                label="Minutes at most (0: as set)",
                value=0,
                minimum=0,
                min_width=260,
                elem_id="round-minutes",
            )
            self.objective = gr.Dropdown(
                OBJECTIVES,
                value="auto",
                label="Learn from",
                min_width=260,
                elem_id="round-objective",
            )
            self.method = gr.Dropdown(
                [(name, key) for key, (name, _) in METHODS.items()],
                value="auto",
                label="Method",
                min_width=220,
                elem_id="round-method",
            )
            self.begin = gr.Dropdown(
                STARTS, value=BUDGET, label="Start from", min_width=220, elem_id="round-start"
            )
        self.more = gr.Textbox(
            label="Other dials",
            placeholder="rank=8 epochs=20",
            info="KEY=VALUE, apart by spaces; they go before the choices above",
            max_lines=1,
            elem_id="round-dials",
            elem_classes="kept",
        )
        self.inputs = [self.minutes, self.objective, self.method, self.begin, self.more]

    def show(self, desk: Desk) -> Updates:
        """The adapters that a round may go on from."""
        found = list_adapters(desk.db, desk.workspace.id)
        known = [(adapter_label(one), str(one.id)) for one in found if one.status != "tainted"]
        return {self.begin: gr.update(choices=[*STARTS, *known], value=BUDGET)}


def wanted(
    minutes: float | None = 0,
    objective: str | None = "auto",
    method: str | None = "auto",
    begin: str | None = BUDGET,
    more: str | None = "",
) -> tuple[dict[str, Any], str | None]:
    """The form's values as a round's dials and its start (None: as the minutes allow).

    What is left at auto is not asked for. Raises BadInput for what is no KEY=VALUE and for a
    choice that is not on the list; the round's plan looks at the values.
    """
    from assistant.commands.tune import dials_of

    if (method or "auto") not in METHODS:
        raise BadInput("Choose a method of the list.")
    dials: dict[str, Any] = dict(METHODS[method or "auto"][1])
    if minutes:
        dials["max_minutes"] = minutes
    if objective and objective != "auto":
        dials["objective"] = objective
    dials |= dials_of(None, (more or "").split())
    return dials, None if begin in (None, "", BUDGET) else str(begin)
