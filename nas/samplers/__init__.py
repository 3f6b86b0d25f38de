"""Samplers: each chooses the next network inside a band from what is known of the others."""
