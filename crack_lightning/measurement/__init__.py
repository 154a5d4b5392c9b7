"""Measures cracks in photographs: lines, lengths, widths, and the scale."""
