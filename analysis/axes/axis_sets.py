"""Which axes networks are looked at by: a number a dimension, one a stage, the sampler's parameters, all."""

SETS = ("summary", "stages", "space", "all")
