"""Whole photographs to maps, cracks, tables and a report."""
