"""The inspector's page: a local server over a project, and what a browser shows of it."""
