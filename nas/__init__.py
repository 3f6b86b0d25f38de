"""The search: proposals inside the budget, short proxy trainings, the record, the export."""
