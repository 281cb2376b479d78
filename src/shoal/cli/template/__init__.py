"""Go templates for `--format`: the part of text/template that users of Docker's client write."""
