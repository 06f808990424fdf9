"""Text files with places to fill in: `@{name}` in templates/."""

import re
from importlib import resources


def fill(template: str, **texts: object) -> str:
    """Return a template with each `@{name}` replaced by the text of that name."""
    text = resources.files("export.source").joinpath("templates", template).read_text("utf-8")
    return re.sub(r"@\{(\w+)\}", lambda place: str(texts[place[1]]), text)
