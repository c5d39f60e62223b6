"""What base models need, and which one is advised, on machines of other sizes than this one."""

import dataclasses

import pytest

from assistant.bases import FREE, KNOWN, Machine, advised, needs, present, this_machine
from assistant.engines.choose import has_cuda
from tuning.config import RoundConfig
from tuning.memory import training_bytes

CONTEXT = 2048
NAMED = {base.name: base for base in KNOWN}


@pytest.mark.parametrize(
    ("gigabytes", "cores", "gpu", "name"),
    [
        (2, 1, False, "embedded"),
        (16, 2, False, "HuggingFaceTB/SmolLM2-360M-Instruct"),
        (16, 16, False, "Qwen/Qwen3-1.7B"),
        (64, 128, False, "Qwen/Qwen3-8B"),
        (8, 4, True, "Qwen/Qwen3-1.7B"),
        (24, 4, True, "Qwen/Qwen3-8B"),
    ],
)
def test_the_largest_that_fits_and_is_quick_is_advised(gigabytes, cores, gpu, name):
    machine = Machine(gigabytes * 10**9, cores, gpu)
    assert advised(machine, CONTEXT).name == name
    assert advised(machine, CONTEXT).licence in FREE


def test_what_is_counted():
    machine = Machine(16 * 10**9, 2, gpu=False)
    base = NAMED["Qwen/Qwen3-0.6B"]
    found = needs(base, machine, CONTEXT)
    assert found.serving == 1_000_000_000 + 2 * 596_000_000 + 4 * 28 * 1024 * CONTEXT
    lora = RoundConfig(method="lora")
    assert found.training == training_bytes(4 * 596_000_000, 28 * 1024, lora)
    assert found.fits and not found.quick
    assert "serving 2.4 GB, training 5.7 GB (lora) of 16.0 GB" in found.sentence()
    assert needs(base, machine, 2 * CONTEXT).serving > found.serving
    tight = needs(base, dataclasses.replace(machine, memory=9 * 10**9), CONTEXT)
    assert tight.method == "qlora" and tight.training < found.training
    assert needs(base, dataclasses.replace(machine, cores=4), CONTEXT).said == 2 * found.said


def test_a_gpu_holds_the_base_in_four_bits():
    base = NAMED["Qwen/Qwen3-4B"]
    on_cpu, on_gpu = (needs(base, Machine(24 * 10**9, 8, gpu), CONTEXT) for gpu in (False, True))
    assert on_gpu.serving < on_cpu.serving and on_gpu.training < on_cpu.training
    assert on_gpu.quick and "tokens" not in on_gpu.sentence()


def test_they_are_sorted_by_size_and_licensed():
    sizes = [base.parameters for base in KNOWN]
    assert sizes == sorted(sizes) and all(base.licence for base in KNOWN)


def test_the_present_base_is_counted_by_its_files(tiny_base):
    found = present("here", tiny_base, "llamacpp", 512)
    assert found.llamacpp and found.stored > 4, "its GGUF is float32, with a vocabulary"
    assert found.values == 2 * 64
    assert 100_000 < found.parameters < 200_000
    by_torch = present("here", tiny_base, "torch_peft", 512)
    assert not by_torch.llamacpp and 4 < by_torch.stored < found.stored
    assert present("Qwen/Qwen3-4B", None, "auto", 512) == NAMED["Qwen/Qwen3-4B"]
    assert present("somebody/else", None, "auto", 512) is None


def test_this_machine_has_memory():
    found = this_machine(3)
    assert found.cores == 3 and found.gpu == has_cuda()
    assert 10**8 < found.memory < 10**14
