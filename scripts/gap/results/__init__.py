"""From predictions to what a study found."""
