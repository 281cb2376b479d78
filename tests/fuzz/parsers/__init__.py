"""The readers of what registries and archives send, under made-up input; `./dev test parsers` does it for long."""
