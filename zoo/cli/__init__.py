"""The command line `lnn`."""
