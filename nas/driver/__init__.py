"""What a search decides: which network next, how far, and when it is enough."""
