"""The record read back: fronts, comparisons, pictures."""
