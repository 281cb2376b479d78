"""Builds in the engine: what the builder's ports ask for, made of images, containers' parts and networks."""
