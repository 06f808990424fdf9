"""The playground: a person changes the signal in the page, and the model's file answers there."""

from zoo.explain.playground.section import section

__all__ = ["section"]
