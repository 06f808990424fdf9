"""Text templates of this package."""

from export import text_templates


def fill(template: str, **texts: object) -> str:
    """Return a template with each `@{name}` replaced by the text of that name."""
    return text_templates.fill("export.source", template, **texts)
