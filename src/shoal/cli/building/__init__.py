"""`shoal build`: the request, the context that is sent, what is shown, and where the result goes."""
