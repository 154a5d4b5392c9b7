"""Comparison of the cracks that two inspections found."""
