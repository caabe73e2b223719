"""The two languages of the reports, HTML and Markdown: quoting, and the frame of a page that needs nothing beside itself."""

import html
import re
import unicodedata
from pathlib import Path

CSS = Path(__file__).with_name("style.css").read_text("utf-8")


def plain(text: str) -> str:
    """Without characters that can't be seen or that turn a line around: they are spelled out. Lines and tabs stay."""
    def shown(character: str) -> str:
        hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and character not in "\n\t"
        return f"\\u{ord(character):04x}" if hidden else character
    return "".join(map(shown, text.replace("\r\n", "\n")))


def escaped(text: object) -> str:
    return html.escape(plain(str(text)))


def page(title: str, body: str) -> str:
    """A whole document. Its policy lets nothing in from elsewhere, and runs no script, whatever found its way into the body."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)}</title>
<style>{CSS}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def bar(share: float) -> str:
    return f'<div class="bar"><i style="width: {100 * min(max(share, 0), 1):.1f}%"></i></div>'


def table(head: list[str], rows: list[list[str]], numbers: tuple[int, ...] = ()) -> str:
    """Cells are HTML already; `numbers`: columns that are set to the right."""
    def cells(kind: str, row: list[str]) -> str:
        return "".join(f'<{kind}{" class=number" if i in numbers else ""}>{cell}</{kind}>' for i, cell in enumerate(row))
    return "\n".join(["<table><thead><tr>" + cells("th", head) + "</tr></thead><tbody>",
                      *("<tr>" + cells("td", row) + "</tr>" for row in rows), "</tbody></table>"])


# --- Markdown -------------------------------------------------------------------------------------------------------------------

def marked(text: object) -> str:
    """One line of text in Markdown: nothing in it is taken for mark-up."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~$&])", r"\\\1", " ".join(plain(str(text)).split()))


def fenced(text: str) -> str:
    """Lines in Markdown as they are: the fence is longer than any in them."""
    text = plain(text).rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def rows(head: list[str], lines: list[list[str]], numbers: tuple[int, ...] = ()) -> str:
    """A table in Markdown; cells are Markdown already."""
    rule = ["---:" if i in numbers else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *lines])
