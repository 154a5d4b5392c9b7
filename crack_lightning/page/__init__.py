"""The inspector's page: a local web server for a project, and the files that the browser loads."""
