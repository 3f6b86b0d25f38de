"""Published and own results as points, each with its source."""
