"""What makes the training of these networks fast on a CPU."""
