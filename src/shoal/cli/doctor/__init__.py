"""`shoal doctor`: what this kernel and this machine can and can't do, each with the reason and the mend."""
