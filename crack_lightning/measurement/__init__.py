"""What can be measured of cracks in a photograph: lines, lengths, widths, and the scale."""
