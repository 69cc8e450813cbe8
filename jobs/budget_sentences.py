"""What is said of budgets: on issues, to agents, on the status page. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from models import spending
from models.budgets import Budget, Scope, Unit

_WHOSE = {
    Scope.JOB: "one job",
    Scope.ISSUE: "one issue",
    Scope.REPO: "this repository in a month",
    Scope.ALL: "all repositories together in a month",
}


def amount(unit: Unit, value: float) -> str:
    """So many tokens, or so many dollars, as people write it."""
    if unit is Unit.TOKENS:
        return f"{value:,.0f} tokens"
    return f"${value:,.2f}" if value >= 1 or round(value, 2) == value else f"${value:.4f}"


def allowed(budget: Budget) -> str:
    """Whose budget it is, and how much."""
    return f"the budget of {_WHOSE[budget.scope]}, {amount(budget.unit, budget.limit)}"


def over(budget: Budget, now: float) -> str:
    """The budget is spent, and what helps. One that comes back by itself does so when the next month begins."""
    used = f"{allowed(budget)}, is spent ({amount(budget.unit, budget.used)} used)."
    match budget.scope:
        case Scope.JOB:
            return used
        case Scope.ISSUE:
            return f"{used} It goes on once whoever runs Kugetsu has raised it."
        case Scope.REPO | Scope.ALL:
            return f"{used} The next one begins on {date(spending.next_month(now))}."


def waits(budget: Budget, until: float) -> str:
    """Why a job does not start, and until when (seconds since the epoch)."""
    return f"held: {allowed(budget)}, is spent; it starts on {date(until)}, or when the budget is raised"


def warning(budget: Budget) -> str:
    """It will soon be spent. No figure that moves with every answer, lest the comment be edited for each."""
    return f"⚠️ More than 80 % of {allowed(budget)}, is used. At 100 % the agent is ended, and its work kept."


def date(moment: float) -> str:
    """The day, in UTC, as people write it."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at.day} {at:%B %Y}"
