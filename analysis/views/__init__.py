"""The views of the dashboard, one a file: `view(studies)` makes it from studies of one plane or several."""
