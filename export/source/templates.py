"""Text templates in templates/, with placeholders `@{name}`."""

import re
from importlib import resources


def fill(template: str, **texts: object) -> str:
    """Return a template with each `@{name}` replaced by the text of that name."""
    return fill_from("export.source", template, **texts)


def fill_from(package: str, template: str, **texts: object) -> str:
    """Return a template of another package, filled like `fill`."""
    text = (resources.files(package) / "templates" / template).read_text("utf-8")
    return re.sub(r"@\{(\w+)\}", lambda match: str(texts[match[1]]), text)
