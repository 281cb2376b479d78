"""Tar archives as streams: reader, writer and compression; knows nothing of images."""
