"""Command line arguments of the benchmarks."""

import argparse


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that prints a module docstring without reformatting it."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
