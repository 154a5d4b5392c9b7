"""A project: a folder with photographs, what was found in them, and what people say of that."""
