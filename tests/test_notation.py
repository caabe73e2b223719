"""One alphabet everywhere: every axis named in a signature is explained on the page of notation."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def axes_in_signatures() -> dict[str, list[str]]:
    """Each axis name, with the files that use it."""
    found = {}
    for path in sorted((ROOT / "minillm").rglob("*.py")):
        for shape in re.findall(r'\[Any, "([^"]*)"\]', path.read_text("utf-8")):
            for axis in re.findall(r"[A-Za-z]\w*", shape):
                found.setdefault(axis, []).append(str(path.relative_to(ROOT)))
    return found


def test_every_axis_of_every_signature_is_on_the_page_of_notation():
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Notation")[2].partition("\n## ")[0]
    explained = set(re.findall(r"`(\w+)`", page))
    axes = axes_in_signatures()
    assert {"b", "t", "h", "e", "v"} <= axes.keys(), "the signatures were not found: has their form changed?"
    unexplained = {axis: files for axis, files in axes.items() if axis not in explained}
    assert not unexplained, f"axes that CONTRIBUTING.md's notation doesn't explain: {unexplained}"
