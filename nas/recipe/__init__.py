"""The full training's recipe, and what it will need."""
