"""Tests of the code's shape: who imports whom, sizes, names, docstrings, documents."""
