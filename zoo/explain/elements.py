"""Elements of the page as HTML. Texts are escaped, contents are HTML already."""

from collections.abc import Mapping, Sequence
from html import escape


def section(heading: str, content: str) -> str:
    """A section under its heading; nothing without content."""
    if not content:
        return ""
    return f"<section>\n<h2>{heading}</h2>\n{content}\n</section>"


def paragraph(*sentences: str) -> str:
    """A paragraph of the sentences that are not empty; nothing without any."""
    text = " ".join(sentence for sentence in sentences if sentence)
    return f"<p>{escape(text)}</p>" if text else ""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts_list(facts: Mapping[str, str]) -> str:
    """A list of facts by name, without the empty ones."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v)
    return f"<dl>{items}</dl>"
