"""What became of the cracks between two inspections."""
