"""Pages and figures: what a view is made of, and the files it is written to."""
