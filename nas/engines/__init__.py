"""Where trainings run: one interface, an engine a file."""
