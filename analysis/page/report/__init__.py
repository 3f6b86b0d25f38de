"""The page that a search writes of itself."""
