"""What checkpoints say of pictures, and how well."""
