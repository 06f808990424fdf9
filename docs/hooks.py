"""Hooks of the documentation site: formulas as MathML, pages of presets, and no other hosts."""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parent.parent
# The generic form of pymdownx.arithmatex.
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.S)


def on_files(files, config):
    """Add the cards of the presets as pages zoo/NAME.md."""
    for card in sorted(ROOT.glob("zoo/*/*/card.md")):
        name = card.parent.name
        picture = f"figures/presets/{name}.svg"
        text = card.read_text("utf-8")
        if (ROOT / "docs" / picture).exists():
            heading, _, rest = text.partition("\n")
            shown = (
                f"![A prediction of {name} with the true values](../{picture})\n\n"
                f"A prediction on the sample, by `python -m benchmarks.preset_pictures`; "
                f"`lnn explain {name}` explains it."
            )
            text = f"{heading}\n\n{shown}\n{rest}"
        files.append(File.generated(config, f"zoo/{name}.md", content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Point links to the cards of presets to their pages on the site."""
    return re.sub(r"\]\(\.\./zoo/\w+/([\w-]+)/card\.md", r"](zoo/\1.md", markdown)


def on_post_page(output, page, config):
    """Load the script for searches without a server from the site, not from another host."""
    own = get_relative_url("assets/iframe-worker/shim.js", page.url)
    return output.replace("https://unpkg.com/iframe-worker/shim", own)


def on_page_content(content, page, config, files):
    """Write formulas as MathML, which browsers show without a script."""
    content = _INLINE.sub(lambda match: _mathml(match[1], "inline"), content)
    return _BLOCK.sub(lambda match: _mathml(match[1], "block"), content)


def _mathml(formula, display):
    return convert(html.unescape(formula), display=display)
