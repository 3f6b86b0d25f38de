"""The short training under which networks are compared."""
