"""Training-free scores, and what they are worth."""
