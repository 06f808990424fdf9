"""Text templates in the folders templates/ of packages, with placeholders `@{name}`."""

import re
from importlib import resources


def fill(package: str, template: str, **texts: object) -> str:
    """Return a template with each `@{name}` replaced by the text of that name.

    Args:
        package: The package whose folder templates/ holds the template.
        template: Name of the file.
        **texts: The texts by name.
    """
    text = (resources.files(package) / "templates" / template).read_text("utf-8")
    return re.sub(r"@\{(\w+)\}", lambda match: str(texts[match[1]]), text)
