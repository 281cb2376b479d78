"""One walk through the published operations: what each test proves goes into docs/api.md."""
