"""Features of frozen backbones, computed once and stored, and samples of the cells of crack maps."""
