"""The tables of docs/reliability.md: a run must give what the page says, or writes it anew."""

import os
import re

from tests.journey.product_running import ROOT

PAGE = ROOT / "docs" / "reliability.md"


def check(name, header, rows):
    """Compare the table between the marks of this name; WRITE_DOCS=1 writes it there instead."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    page = PAGE.read_text()
    shown = re.search(f"{re.escape(begin)}(.*){re.escape(end)}", page, re.DOTALL)
    assert shown, f"{PAGE} has no place for {name}"
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page[: shown.start(1)] + table + page[shown.end(1) :])
    else:
        assert shown[1] == table, "docs/reliability.md says otherwise; WRITE_DOCS=1 writes it"
