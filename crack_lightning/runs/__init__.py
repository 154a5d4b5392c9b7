"""What a command does and writes into its folder."""
