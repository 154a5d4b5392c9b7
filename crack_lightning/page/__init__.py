"""The inspector's page: a local server for a project, and the files that a browser shows."""
