"""What a command does and leaves in its folder."""
