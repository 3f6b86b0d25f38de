"""All that only a GPU can show, in one command: `python -m tests.gpu` (docs/gpu.md)."""
