"""What forms share: errors at their fields, problems above them."""

from functools import partial

from starlette.requests import Request

from gateway.pages.site import site
from gateway.problems import Problem


def field_errors(request: Request, problem: Problem | None) -> dict[str, str | None]:
    """What stands at each field."""
    if problem is None:
        return {}
    translate = partial(site().gettext, request)
    if problem.errors:
        return {one.field: f"{translate(one.detail)} {translate(one.remedy)}" for one in problem.errors}
    if problem.field is None:
        return {}
    return {problem.field: " ".join(translate(text) for text in (problem.detail, problem.remedy) if text)}


def of_the_form(request: Request, problem: Problem | None, errors: dict[str, str | None]) -> dict[str, str] | None:
    """What stands above the form: problems that belong to no field."""
    if problem is None or errors:
        return None
    translate = partial(site().gettext, request)
    return {"detail": translate(problem.detail), "remedy": translate(problem.remedy or "")}
