"""The tables of docs/reliability.md: a run must give the same result, or rewrites the page."""

import os
import re

from tests.journey.product import ROOT

PAGE = ROOT / "docs" / "reliability.md"


def check(name, header, rows):
    """Compare the table between the markers with this name; WRITE_DOCS=1 writes it instead."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    page = PAGE.read_text()
    current = re.search(f"{re.escape(begin)}(.*){re.escape(end)}", page, re.DOTALL)
    assert current, f"{PAGE} has no markers for {name}"
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page[: current.start(1)] + table + page[current.end(1) :])
    else:
        assert current[1] == table, "docs/reliability.md differs; WRITE_DOCS=1 rewrites it"
