"""A network as one readable PyTorch file."""
