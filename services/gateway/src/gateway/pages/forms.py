"""What forms share: errors at their fields, problems above them."""

from functools import partial

from markupsafe import Markup
from starlette.requests import Request

from gateway.pages.site import site
from gateway.problems import Problem


def field_errors(request: Request, problem: Problem | None) -> dict[str, str | None]:
    """What stands at each field."""
    if problem is None:
        return {}
    said = partial(site().said, request)
    if problem.errors:
        return {one.field: Markup(" ").join((said(one.detail), said(one.remedy))) for one in problem.errors}
    if problem.field is None:
        return {}
    return {problem.field: Markup(" ").join(said(text) for text in (problem.detail, problem.remedy) if text)}


def of_the_form(request: Request, problem: Problem | None, errors: dict[str, str | None]) -> dict[str, str] | None:
    """What stands above the form: problems that belong to no field."""
    if problem is None or errors:
        return None
    said = partial(site().said, request)
    return {"detail": said(problem.detail), "remedy": said(problem.remedy or "")}
