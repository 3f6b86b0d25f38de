"""One thread a test process: the networks here are too small to share, and `python -m tests` runs several."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
