"""What a training does to its pixels."""
