"""Pareto fronts of cost and value, and how sure they are."""
