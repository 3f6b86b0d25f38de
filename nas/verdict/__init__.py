"""What a study concludes: fronts, differences, confirmations and the evidence for a network."""
