"""The commands: the steps of each, and the files that it writes into its run folder."""
