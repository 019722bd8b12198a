"""A report as a few kinds of blocks, written as Markdown and as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import dataclasses
import html
from collections.abc import Sequence

TEXT_COLUMNS = frozenset({"system", "loss", "settings", "letters", "marks"})


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading of level 1 or more."""

    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; all cells are text, those of columns that are not in `TEXT_COLUMNS` are numbers, set to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture.

    Attributes:
        name: of its file beside the Markdown, without folder.
        png: its bytes.
        caption: what it shows.
    """

    name: str
    png: bytes
    caption: str


Block = Heading | Paragraph | Table | Image

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; margin: 1em 0; }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; }
.number { text-align: right; }
td.number { white-space: nowrap; }
.marks { min-width: 16em; }
img { max-width: 100%; } figcaption { color: #666; }
"""


def format_markdown(blocks: Sequence[Block], image_folder: str) -> str:
    """Returns the blocks as Markdown; pictures are looked for in `image_folder`, relative to the file.

    >>> print(format_markdown([Heading("Losses"), Table(["loss", "value"], [["a|b", "1"]])], "plots"), end="")
    ## Losses
    <BLANKLINE>
    | loss | value |
    |---|--:|
    | a\\|b | 1 |
    """
    return "\n\n".join(_to_markdown(block, image_folder) for block in blocks) + "\n"


def _to_markdown(block: Block, image_folder: str) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Image(name, _, caption):
            return f"![{caption}]({image_folder}/{name})"
    rule = ["---" if name in TEXT_COLUMNS else "--:" for name in block.header]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (block.header, *block.rows)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def format_html(blocks: Sequence[Block], title: str) -> str:
    """Returns the blocks as one HTML page with its pictures inside."""
    return format_page("\n".join(map(_to_html, blocks)), title)


def format_page(body: str, title: str, style: str = "") -> str:
    """Returns an HTML page; `body` is HTML, `title` plain text, `style` CSS beside that of all pages."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}{style}</style></head><body>\n{body}\n</body></html>\n"
    )


def _to_html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Image(_, png, caption):
            data = base64.b64encode(png).decode()
            alt = html.escape(caption, quote=True)
            return (
                f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{alt}</figcaption></figure>'
            )
    header = _to_html_row(block, block.header, "th")
    rows = "\n".join(_to_html_row(block, row, "td") for row in block.rows)
    return f"<table><thead>{header}</thead><tbody>\n{rows}\n</tbody></table>"


def _to_html_row(table: Table, cells: Sequence[str], tag: str) -> str:
    kinds = [f' class="{name if name in TEXT_COLUMNS else "number"}"' for name in table.header]
    return f"<tr>{''.join(f'<{tag}{k}>{html.escape(c)}</{tag}>' for k, c in zip(kinds, cells, strict=True))}</tr>"
