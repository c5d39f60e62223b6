"""What every engine does alike, on the tiny model, against what transformers alone answers."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import AutoModelForCausalLM, RepetitionPenaltyLogitsProcessor

from assistant.engines.choose import ENGINES
from assistant.engines.protocol import (
    REPEAT_LAST,
    RUNNERS_UP,
    EngineFailed,
    NotSupported,
    Sampling,
    room_for_reply,
)
from storage.errors import BadInput, NotFound
from tests.assistant.engines.asking import TOKENS, ask, text_of, tokens_of
from tests.tiny import make_tiny_adapter

CONTEXT = 256


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, open_named, tiny_adapters):
    opened = open_named(request.param, CONTEXT)
    for number, folder in tiny_adapters.items():
        opened.load(number, folder)
    yield opened
    opened.close()


def test_answers_are_those_of_transformers(engine, prompts, truth):
    answers = set()
    for adapter_id in (None, 1, 2):
        for prompt in prompts:
            pieces = ask(engine, prompt, adapter_id)
            assert text_of(pieces) == truth(prompt, adapter_id)
            answers.add(text_of(pieces))
    assert len(answers) == 3 * len(prompts)  # neither adapters nor prompts are all the same


def test_base_and_adapters_in_turn_never_share_a_prefix(engine, prompts, truth):
    for adapter_id in (None, 1, None, 2, 1, 1, None, None, 2):
        assert text_of(ask(engine, prompts[0], adapter_id)) == truth(prompts[0], adapter_id)


def test_many_at_once_are_each_by_their_own_adapter(engine, prompts, truth):
    wanted = [(prompt, adapter_id) for prompt in prompts for adapter_id in (None, 1, 2)] * 2
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda one: text_of(ask(engine, *one)), wanted))
    assert made == [truth(*one) for one in wanted]


def test_the_last_piece_only_has_a_reason(engine, prompts):
    pieces = ask(engine, prompts[0], tokens=10)
    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].finish_reason == "length"
    assert tokens_of(pieces) == 10


def test_the_end_of_turn_stops(engine, prompts, truth):
    """After some prompt the tiny model says an end token within 40."""
    for prompt in (prompts[0][:cut] + prompts[1] for cut in range(20)):
        if truth(prompt, 1, 40) == truth(prompt, 1, 45):
            break
    else:
        pytest.fail("no such prompt")
    pieces = ask(engine, prompt, 1, 45)
    assert pieces[-1].finish_reason == "stop" and tokens_of(pieces) <= 40
    assert text_of(pieces) == truth(prompt, 1, 45)


def test_a_stop_text_ends_before_itself(engine, prompts):
    whole = text_of(ask(engine, prompts[0]))
    stop = whole[5:8]
    pieces = ask(engine, prompts[0], stop=("never said", stop))
    assert pieces[-1].finish_reason == "stop"
    assert text_of(pieces) == whole[: whole.index(stop)]


def test_a_character_of_several_tokens_is_one_piece(engine, prompts, truth):
    """The tiny model says bytes at random; what is no character becomes U+FFFD, none is lost."""
    pieces = ask(engine, prompts[2], 1, 40)
    assert text_of(pieces) == truth(prompts[2], 1, 40)
    assert tokens_of(pieces) == 40


def test_cancel_interrupts(engine, prompts):
    cancel = threading.Event()
    pieces = []
    for piece in engine.stream(prompts[0], None, Sampling(max_tokens=200), (), cancel):
        pieces.append(piece)
        if len(pieces) == 3:
            cancel.set()
    assert pieces[-1].finish_reason == "interrupted"
    assert tokens_of(pieces) < 100


def test_cancelled_before_it_began(engine, prompts):
    cancel = threading.Event()
    cancel.set()
    pieces = ask(engine, prompts[0], tokens=100, cancel=cancel)
    assert pieces[-1].finish_reason == "interrupted" and tokens_of(pieces) < 10


def test_closing_the_iterator_frees_its_place(engine, prompts, truth):
    """Twenty readers leave in the middle; afterwards as many answers are made at once as ever."""
    for _ in range(20):
        pieces = iter(engine.stream(prompts[0], 1, Sampling(max_tokens=230), (), threading.Event()))
        next(pieces)
        pieces.close()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda one: text_of(ask(engine, one)), prompts))
    assert made == [truth(one) for one in prompts]


def test_a_prompt_that_leaves_no_room_is_refused_before_it_is_sent(engine, prompts):
    long = (prompts[0] * 100)[:CONTEXT]
    with pytest.raises(BadInput, match=f"{CONTEXT} tokens long.*at most {CONTEXT}"):
        engine.stream(long, None, Sampling(), (), threading.Event())
    with pytest.raises(BadInput, match="empty"):
        engine.stream([], None, Sampling(), (), threading.Event())


def test_a_reply_ends_at_the_context(engine, prompts, truth):
    long = (prompts[0] * 100)[: CONTEXT - 5]
    pieces = ask(engine, long, tokens=100)
    assert pieces[-1].finish_reason == "length" and tokens_of(pieces) == 5
    assert text_of(pieces) == truth(long, None, 5)


def test_sampling_is_repeatable_by_its_seed(engine, prompts):
    def made(seed):
        return text_of(ask(engine, prompts[0], temperature=1.5, seed=seed))

    assert made(1) == made(1)
    assert len({tuple(made(seed)) for seed in range(5)}) > 1
    greedy = text_of(ask(engine, prompts[0]))
    assert text_of(ask(engine, prompts[0], temperature=1.5, top_p=1e-9, seed=3)) == greedy


@pytest.mark.parametrize(("order", "other"), [((3, 1, 2, 0), 72), ((1, 3, 2, 0), 60)])
def test_a_penalty_is_that_of_transformers_over_the_last_tokens(
    engine, prompts, tiny_base, tokenizer, order, other
):
    """The prompt's last tokens count too; with `other` as many as that the reply would differ."""
    prompt = [token for number in order for token in prompts[number]]
    penalty = RepetitionPenaltyLogitsProcessor(1.4)
    model = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32).eval()

    def wanted(last):
        made = model.generate(
            input_ids=torch.tensor([prompt]),
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=[0, 2],
            logits_processor=[lambda ids, scores: penalty(ids[:, -last:], scores)],
        )
        return tokenizer.decode(made[0, len(prompt) :].tolist()).rstrip("\ufffd")

    assert text_of(ask(engine, prompt, repeat_penalty=1.4)) == wanted(REPEAT_LAST)
    assert wanted(other) != wanted(REPEAT_LAST)


def test_an_adapter_that_is_not_loaded(engine, prompts):
    with pytest.raises(NotFound, match="Adapter 99 is not loaded"):
        engine.stream(prompts[0], 99, Sampling(), (), threading.Event())
    engine.unload(99)


def test_load_and_unload_while_replies_stream(engine, prompts, truth, tiny_base, tmp_path):
    stop = threading.Event()
    wrong, made = [], [0]

    def keep_asking(prompt, adapter_id):
        while not stop.is_set():
            ids = text_of(ask(engine, prompt, adapter_id))
            made[0] += 1
            if ids != truth(prompt, adapter_id):
                wrong.append((adapter_id, ids))

    truth(prompts[0], 1), truth(prompts[1], 2), truth(prompts[2])
    with ThreadPoolExecutor(3) as pool:
        asking = [
            pool.submit(keep_asking, prompts[index], adapter_id)
            for index, adapter_id in enumerate((1, 2, None))
        ]
        try:
            for number in range(10, 16):
                folder = make_tiny_adapter(tiny_base, tmp_path / str(number), seed=number)
                engine.load(number, folder)
                assert number in engine.adapters()
                assert text_of(ask(engine, prompts[3], number, 8))
                if number > 12:
                    engine.unload(number)
                    assert number not in engine.adapters()
        finally:
            stop.set()
        for one in asking:
            one.result()
    assert not wrong and made[0] > 3
    for number in (10, 11, 12):
        engine.unload(number)
    assert engine.adapters() == {1, 2}


def test_an_adapter_unloaded_in_the_middle_of_its_reply(engine, prompts, tiny_base, tmp_path):
    folder = make_tiny_adapter(tiny_base, tmp_path / "a", seed=77)
    engine.load(77, folder)
    alone = text_of(ask(engine, prompts[1], 77))
    pieces = engine.stream(prompts[1], 77, Sampling(max_tokens=TOKENS), (), threading.Event())
    first = next(pieces)
    engine.unload(77)
    assert text_of([first, *pieces]) == alone
    with pytest.raises(NotFound):
        ask(engine, prompts[1], 77)


def test_load_is_idempotent(engine, tiny_adapters, prompts, truth):
    engine.load(1, tiny_adapters[1])
    assert engine.adapters() == {1, 2}
    assert text_of(ask(engine, prompts[0], 1)) == truth(prompts[0], 1)


@pytest.mark.parametrize("spoil", ["missing", "json", "dora"])
def test_an_adapter_that_cannot_be_served_is_refused(engine, tiny_adapters, tmp_path, spoil):
    folder = shutil.copytree(tiny_adapters[1], tmp_path / "spoilt")
    config = folder / "adapter_config.json"
    (folder / "adapter.gguf").unlink(missing_ok=True)
    if spoil == "missing":
        config.unlink()
    elif spoil == "json":
        config.write_text("{")
    else:
        config.write_text(config.read_text().replace('"use_dora": false', '"use_dora": true'))
    with pytest.raises(BadInput):
        engine.load(50, folder)
    assert engine.adapters() == {1, 2}


def test_likelihoods_or_a_clear_refusal(engine, prompts, truth, tokenizer):
    said = tokenizer.encode(truth(prompts[0], 1, 5))
    if engine.name != "torch_peft":
        with pytest.raises(NotSupported):
            engine.score(prompts[0], said, 1)
        return
    liked = engine.score(prompts[0], said, 1)
    assert len(liked) == len(said) and max(liked) <= 0
    assert sum(liked) > sum(engine.score(prompts[0], said, None))


@pytest.mark.parametrize("name", ENGINES)
def test_close_interrupts_and_then_refuses(open_named, prompts, name):
    engine = open_named(name, CONTEXT)
    pieces = engine.stream(prompts[0], None, Sampling(max_tokens=240), (), threading.Event())
    heard = [next(pieces)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    started = time.monotonic()
    heard += list(pieces)
    closing.join(30)
    assert not closing.is_alive() and time.monotonic() - started < 30
    assert heard[-1].finish_reason in ("interrupted", "length", "stop")
    with pytest.raises(EngineFailed, match="closed"):
        ask(engine, prompts[0])
    engine.close()


def test_room_for_reply():
    assert room_for_reply(10, 20, 100) == 20
    assert room_for_reply(90, 20, 100) == 10
    with pytest.raises(BadInput, match="at least 1"):
        room_for_reply(10, 0, 100)


def test_runners_up_are_told_with_their_likelihoods(engine, prompts, tiny_base, tiny_adapters):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    pieces = ask(engine, prompts[0], 1, tokens=6, runners_up=True)
    chosen = [one for piece in pieces for one in piece.chosen]
    said = [one.token for one in chosen]
    assert len(said) == tokens_of(pieces) == 6
    base = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    with torch.inference_mode():
        model = PeftModel.from_pretrained(base, tiny_adapters[1])
        logits = model(torch.tensor([[*prompts[0], *said]])).logits[0]
    chances = torch.log_softmax(logits, dim=-1)[len(prompts[0]) - 1 : -1]
    first, *others = chances.topk(1 + RUNNERS_UP).values.T.tolist()
    # engines hold keys, values and adapters in float16
    assert [one.log_prob for one in chosen] == pytest.approx(first, abs=0.02)
    for rank, wanted in enumerate(others):
        assert [one.others[rank][1] for one in chosen] == pytest.approx(wanted, abs=0.02)
        own = [chances[place, one.others[rank][0]].item() for place, one in enumerate(chosen)]
        assert own == pytest.approx(wanted, abs=0.02)
    assert all(one.token not in dict(one.others) for one in chosen)
    assert all(len(dict(one.others)) == RUNNERS_UP for one in chosen)
    assert not any(piece.chosen for piece in ask(engine, prompts[0], 1, tokens=6))
