"""Training runs: of a classifier, of a crack map, and of a crack map for one site."""
