"""How error falls with compute: laws, their fit, and intervals on all they say."""
