"""A campaign of bad input: each command, run as users run it, says one line, exits with 2, leaves nothing."""
