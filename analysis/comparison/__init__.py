"""The searched networks against reference families, at equal cost and at equal accuracy."""
