"""Samplers that look for the next network inside a band by themselves, without Optuna."""
