"""Griffe extension: sections of this project's docstrings in the form that griffe reads."""

import re

import griffe

_CALL_ARGUMENTS = re.compile(r"^Call arguments:$", re.M)
# Indented lines of an interactive session: from a prompt to the next empty line.
_SESSION = re.compile(r"^( *)>>> .*?(?=\n\s*\n|\Z)", re.M | re.S)


class Docstrings(griffe.Extension):
    """Gives `Call arguments:` the form of a section, and sessions that of blocks of code."""

    def on_instance(self, *, obj, **kwargs):
        """Called with each module, class and function."""
        if obj.docstring is not None:
            text = _CALL_ARGUMENTS.sub("Other Parameters: Call arguments", obj.docstring.value)
            obj.docstring.value = _SESSION.sub(r"\1```pycon\n\g<0>\n\1```", text)
