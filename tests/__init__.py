"""The tests of shoal: unit, contract, kernel, conformance, perf and arch."""
