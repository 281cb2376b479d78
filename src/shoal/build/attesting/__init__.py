"""What is attested of an image: the packages in it (SPDX), and how it was built (SLSA). Its files are hostile."""
