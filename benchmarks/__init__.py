"""Benchmarks of the three packages. Most of them write a page in docs/."""
