"""The page of a report: one self-contained HTML file about one or more runs.

Data flow one way: ``source`` and ``traces`` read run folders, ``drawings`` and ``tables`` turn them
into figures and tables that know nothing of a medium, ``svg`` and ``bars`` (for the page),
``pictures`` (PNG) and ``sheets`` (CSV) write those.
"""

from bnntrain.page.document import render_page
from bnntrain.page.drawings import all_figures
from bnntrain.page.output import check_replaceable, write_pages
from bnntrain.page.source import RunRecord, read_runs
from bnntrain.page.tables import Sheet, all_sheets

__all__ = [
    "RunRecord",
    "Sheet",
    "all_figures",
    "all_sheets",
    "check_replaceable",
    "read_runs",
    "render_page",
    "write_pages",
]
