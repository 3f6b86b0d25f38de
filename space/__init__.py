"""What can be built and what it costs: values and closed forms, no training."""
