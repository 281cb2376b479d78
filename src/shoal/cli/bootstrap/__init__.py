"""Base images from this machine's own programs, where no registry can be reached."""
