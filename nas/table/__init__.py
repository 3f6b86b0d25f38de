"""Networks that others trained: a table of choices, costs and accuracies in place of trainings."""
