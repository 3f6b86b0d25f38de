"""Which choices of a design space matter: importance, effects, and what cannot be told apart."""
