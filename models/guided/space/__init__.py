"""What lies around a gap: carried into it, and explained by terrain and radar."""
