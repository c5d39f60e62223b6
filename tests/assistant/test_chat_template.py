"""Chat templates of the well-known families, in the short forms of their makers' own."""

import pytest

from assistant.chat_template import ChatTemplate
from storage.errors import BadInput

NAMES = {"bos_token": "<bos>", "eos_token": "</s>", "pad_token": ""}
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
]
TURNS = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "<{{ m['role'] }}>{{ m['content'] | trim }}{% endfor %}"
)
GEMMA2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + TURNS
)
GEMMA3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'] + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}<{{ m['role'] }}>{{ first if loop.first else '' }}{{ m['content'] }}"
    "{% endfor %}"
)
PHI3 = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] in ('user', 'assistant') %}"
    "<{{ m['role'] }}>{{ m['content'] }}{% endif %}{% endfor %}"
)
SMOLLM3 = (
    "{% if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}"
    "{% for m in messages %}{% if m.role == 'assistant' %}\n"
    "  {% generation %}\n"
    "  {{- '<assistant>' + m.content -}}\n"
    "  {% endgeneration %}\n"
    "{%- else %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% if not enable_thinking %}<think></think>"
    "{% endif %}{% endif %}"
)
FOLDED = "<bos><user>Be brief.\n\nHi<assistant>Hello<user>Bye"


def said(template, messages=CHAT, prompt=False):
    return ChatTemplate(template).render(messages, prompt=prompt, names=NAMES)


@pytest.mark.parametrize(
    ("template", "takes_system"), [(GEMMA2, False), (GEMMA3, True), (PHI3, False)]
)
def test_instructions_are_never_lost(template, takes_system):
    """Gemma 2 refuses a system role, Gemma 3 folds it itself, Phi-3's first one is silent."""
    assert ChatTemplate(template).takes_system is takes_system
    assert said(template) == FOLDED
    assert said(template, CHAT[1:]) == FOLDED.replace("Be brief.\n\n", "")


def test_what_is_refused_for_another_reason_is_told():
    with pytest.raises(BadInput, match="roles must alternate"):
        said(GEMMA2, [CHAT[1], CHAT[3]])


def test_nobody_thinks_aloud_and_a_trainers_marks_are_passed_over():
    assert said(SMOLLM3, prompt=True) == (
        "<system>Be brief.<user>Hi<assistant>Hello<user>Bye<assistant><think></think>"
    )


def test_a_template_that_cannot_be_read():
    with pytest.raises(BadInput, match="cannot be read"):
        ChatTemplate("{% nonsense %}")
