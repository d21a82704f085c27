"""What axe-core finds on a page."""

from functools import cache
from pathlib import Path

from playwright.sync_api import Page

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
FEWEST_PASSES = 10
_RUN = """([within, rules]) => axe.run(within ?? document,
    {resultTypes: ["violations"], ...(rules.length ? {runOnly: rules} : {})})"""


@cache
def _axe() -> str:
    return (Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js").read_text()


def violations(page: Page, within: str | None = None, fewest_passes: int = FEWEST_PASSES) -> dict[str, list[object]]:
    """Selectors by rule, of the document or of what is `within` a selector, there by every rule that axe has.

    A page on which next to nothing could be looked at is an AssertionError: it is not the one that was meant.
    """
    page.evaluate(f"{_axe()}; 0")
    result = page.evaluate(_RUN, [within, [] if within else list(RULES)])
    assert len(result["passes"]) > fewest_passes
    return {one["id"]: [node["target"] for node in one["nodes"]] for one in result["violations"]}
