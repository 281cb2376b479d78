"""The Python API on a real shoald."""
