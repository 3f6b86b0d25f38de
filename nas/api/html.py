"""What a notebook shows: a few lines of HTML that bring along all they need, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.verdict.pick import Recommendation

WIDTH, HEIGHT, MARGIN = 360, 150, 8  # pixels of the plot


def summary(found: Recommendation) -> str:
    """What to take, how sure that is, the networks that it was chosen among, and the page."""
    from nas.verdict.ranking import HEADINGS, cells_of, places

    study = found.study
    parts = [f"<h4>{escape(study.name)}: {escape(study.conditions)}</h4>"]
    parts += [f"<p>{escape(line)}</p>" for line in (*found.lines, *filter(None, (found.note, found.card)))]
    if found.picks:
        parts.append(plot(found))
        parts.append(table(HEADINGS, (cells_of(place, HEADINGS) for place in places(found))))
    if study.folder is not None:
        parts.append(f"<p>study <code>{escape(str(study.folder))}</code></p>")
    return f"<div>{''.join(parts)}</div>"


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A plain table; None is an empty cell."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def plot(found: Recommendation) -> str:
    """Accuracy against cost, a point a network; what is recommended is filled."""
    from space.budget import UNITS, quantity

    study = found.study
    metric, picked = study.metric, {pick.tried.trial for pick in found.picks}
    costs, values = study.cost(metric).tolist(), study.accuracy().tolist()
    xs, ys = _spread(costs, WIDTH, flip=False), _spread(values, HEIGHT, flip=True)
    points = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" stroke="currentColor" '
        f'fill="{"currentColor" if tried.trial in picked else "none"}"><title>'
        f"{escape(tried.label)}: {quantity(cost, UNITS[metric])}, {value:.1%}</title></circle>"
        for tried, x, y, cost, value in zip(study.networks, xs, ys, costs, values, strict=True)
    )
    says = (
        f"accuracy {min(values):.1%} to {max(values):.1%}, against {quantity(min(costs), UNITS[metric])} to "
        f"{quantity(max(costs), UNITS[metric])}; filled: recommended"
    )
    box = f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(says)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{points}</svg><p><small>{escape(says)}</small></p>'


def _spread(values: Sequence[float], size: int, *, flip: bool) -> list[float]:
    """Places from the margin on, [n]: the least at the start, or with `flip` at the end."""
    low, high = min(values), max(values)
    shares = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    return [MARGIN + (size - 2 * MARGIN) * (1 - share if flip else share) for share in shares]
