"""The verbs of `shoal`, one module each; `table` names them, and only the asked one is imported."""
