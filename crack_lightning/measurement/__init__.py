"""Measures cracks in photographs: their lines, lengths and widths, and the scale."""
