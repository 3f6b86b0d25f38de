"""What a search is told, and what follows from it before anything is trained."""
