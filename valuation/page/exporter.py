"""The page as an nbconvert exporter, for ``jupyter nbconvert --to valuation``."""

from __future__ import annotations

from typing import Any

from nbconvert.exporters import Exporter

from valuation.page import to_html
from valuation.sections.sentinel import RESULTS_MIME


class PageExporter(Exporter):
    """One HTML file from an executed notebook; reads the results from its last cell."""

    file_extension = ".html"
    output_mimetype = "text/html"
    export_from_notebook = "Report page"

    def from_notebook_node(
        self, nb: Any, resources: Any = None, **keywords: Any
    ) -> tuple[str, Any]:
        """The page and nbconvert's resources, with the extension set."""
        nb, resources = super().from_notebook_node(nb, resources, **keywords)
        resources["output_extension"] = self.file_extension
        return to_html(nb, _results_in(nb), home=""), resources


def _results_in(notebook: Any) -> dict[str, Any]:
    for cell in reversed(notebook.cells):
        for output in cell.get("outputs", ()):
            held = output.get("data", {}).get(RESULTS_MIME)
            if held is not None:
                return dict(held["results"])
    return {}
