"""Public datasets, one file each, and their download and verification."""
