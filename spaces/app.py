"""What a Hugging Face Space runs: `python app.py`, in the folder that `space build` wrote."""

from assistant.space import on_zero_gpu, run

if on_zero_gpu():
    import spaces  # before torch, which it changes

    @spaces.GPU
    def lent_gpu() -> str:
        """ZeroGPU starts no Space without such a function. Nothing of ours runs in it: a GPU that
        is lent for a minute to a forked process can neither keep adapters nor train a round."""
        import torch

        return str(torch.cuda.get_device_name())


if __name__ == "__main__":
    raise SystemExit(run())
