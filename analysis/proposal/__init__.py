"""The network of a larger budget, by what was fitted at smaller ones."""
