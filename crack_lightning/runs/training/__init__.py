"""A run that trains: a classifier, a crack map, a crack map of a site."""
