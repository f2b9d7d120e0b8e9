"""Sections as one page of HTML, to be read offline, printed and sent on."""

from __future__ import annotations

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from gap.report.markdown import part_as_markdown
from gap.report.sections import Document, Figures, Part, Preformatted, Quotation


def write_page(document: Document, title: str, template: str) -> str:
    """Return the page: the document in a template of jinja2, with all of its figures drawn."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"markdown": to_html, "part": part_as_html}
    return environment.from_string(template).render(title=title, document=document)


def to_html(markdown: str) -> Markup:
    """Return Markdown as HTML; tags in it stay text, and a keyboard can scroll wide tables."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    # No name or text of a study becomes a link or a picture.
    reader.disable(["image", "link", "autolink", "html_inline", "html_block"])
    opened = '<div class="wide" role="region" tabindex="0" aria-label="Table"><table>'
    html = str(reader.render(markdown)).replace("<table>", opened)
    return Markup(html.replace("</table>", "</table></div>"))


def part_as_html(part: Part) -> Markup:
    """Return a part of a section as HTML."""
    match part:
        case Figures(draw):
            figures = [
                Markup('<figure role="img" aria-label="{}">{}</figure>').format(
                    figure.text, Markup(figure.svg)
                )
                for figure in draw()
            ]
            return Markup('<div class="figures">{}</div>').format(Markup("\n").join(figures))
        case Quotation(text, said):
            return Markup('<blockquote><p>{}</p><p class="said">{}</p></blockquote>').format(
                text, said
            )
        case Preformatted(text, columns):
            look = "columns" if columns else ""
            return Markup('<pre class="{}">{}</pre>').format(look, text.strip())
        case _:
            return to_html(part_as_markdown(part))
