"""The record of a study: trials, their storage, and what damage does to them."""
