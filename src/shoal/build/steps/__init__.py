"""What each instruction does: with the configuration alone, with files, with a command."""
