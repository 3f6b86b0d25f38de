"""The best shape at each budget, and how it grows with compute."""
