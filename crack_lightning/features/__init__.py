"""Features of frozen backbones, computed once and kept, and samples of cells."""
