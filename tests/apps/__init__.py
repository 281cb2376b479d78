"""Three real applications, built on Debian with what the registries of pip, npm and Debian have: `./dev test apps`."""
