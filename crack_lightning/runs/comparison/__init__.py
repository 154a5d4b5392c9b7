"""Comparison of the cracks of two inspections."""
