"""The two languages of the reports, HTML and Markdown: quoting, and the frame of a page that needs nothing beside itself."""

import html
import re
import unicodedata

CSS = """
:root { --ink: #1c2430; --soft: #5d6878; --line: #dfe3e8; --ground: #f5f6f8; --card: #fff; --blue: #0072b2; --green: #00795a; --red: #b3470b; --amber: #946200 }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
main { max-width: 56rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 } h2 { font-size: 1.2rem; margin: 0 } p { margin: .5rem 0 }
.soft { color: var(--soft) } .small { font-size: .875rem } .right { text-align: right } .number { font-variant-numeric: tabular-nums; white-space: nowrap }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.3rem; margin: 1.1rem 0 }
.top { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; flex-wrap: wrap }
.score { font-size: 1.9rem; font-weight: 650; font-variant-numeric: tabular-nums } .score small { font-size: 1rem; font-weight: 400; color: var(--soft) }
.bar { height: 8px; border-radius: 4px; background: var(--line); overflow: hidden; margin: .6rem 0 } .bar i { display: block; height: 100%; background: var(--blue) }
.check { border-top: 1px solid var(--line); padding: .65rem 0 .55rem; display: grid; grid-template-columns: 1.9rem 1fr auto; gap: 0 .4rem }
.check:first-of-type { margin-top: .7rem } .check .more { grid-column: 2 / 4 }
.mark { font-weight: 700 } .passed { color: var(--green) } .failed { color: var(--red) } .error { color: var(--amber) } .waits { color: var(--soft) }
.likely { border-left: 3px solid var(--blue); padding: .15rem .8rem; margin: .55rem 0 } .note { border-left: 3px solid var(--amber); padding: .15rem .8rem; margin: .7rem 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr)); gap: .8rem; margin: 1.2rem 0 }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .7rem 1rem } .tile b { display: block; font-size: 1.55rem; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 } th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-size: .8rem; color: var(--soft); font-weight: 600 } td.number, th.number { text-align: right } img { max-width: 100%; height: auto }
.beside { display: flex; align-items: center; gap: .7rem; font-variant-numeric: tabular-nums; width: 11rem } .beside .bar { flex: 1; margin: 0; order: -1 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem .8rem; background: var(--ground); border-radius: 6px; padding: .55rem .8rem; margin: .45rem 0 }
dt { color: var(--soft); font-size: .84rem } dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .84rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
a { color: var(--blue) } footer { margin-top: 2rem }
@media print { body { background: #fff; font-size: 11pt } main { padding: 0; max-width: none } .card { break-inside: avoid } }
"""


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
