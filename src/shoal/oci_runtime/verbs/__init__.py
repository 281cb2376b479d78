"""The verbs of `shoal-runtime`, by subject; only the module of the asked one is imported."""
