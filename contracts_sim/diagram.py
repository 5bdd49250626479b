"""The README's picture and tables, drawn from the contract's own: `python -m contracts_sim.diagram` prints them."""

from __future__ import annotations

from contracts_sim.table import ENDED, PAYOUTS, STATUS, TABLE, Role, Row, Split, State, When, end_state


def mermaid() -> str:
    """The state diagram. Calls that only the clock allows are marked with a clock."""
    edges: dict[tuple[State, State], list[str]] = {}
    for row in TABLE:
        label = f"{row.call} ⏲" if row.when is When.AFTER else row.call
        targets = [target if isinstance(target, State) else end_state(target) for target in row.to]
        for state in dict.fromkeys(targets):
            edges.setdefault((row.state, state), []).append(label)
    lines = ["stateDiagram-v2", "    [*] --> Open: create_job"]
    lines += [f"    {a.value} --> {b.value}: {', '.join(labels)}" for (a, b), labels in edges.items()]
    lines += [f"    {state.value} --> [*]" for state in State if state in ENDED]
    return "\n".join(lines)


def calls() -> str:
    """Every accepted (state, call), who may make it and when, as a Markdown table."""
    lines = ["| state | draft's status | call | who | when | leads to |", "| --- | --- | --- | --- | --- | --- |"]
    for row in TABLE:
        cells = (row.state.value, STATUS[row.state], f"`{row.call}`", _who(row), row.when.value, _to(row))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def payouts() -> str:
    """Where price, stake and bond go at each end, as a Markdown table."""
    lines = ["| ending | state | price | provider's stake | evaluator's bond |", "| --- | --- | --- | --- | --- |"]
    for ending, rule in PAYOUTS.items():
        cells = (ending.value, rule.state.value, *map(_split, (rule.price, rule.stake, rule.bond)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _who(row: Row) -> str:
    return ", ".join(role.value for role in row.who) or "anybody"


def _to(row: Row) -> str:
    return ", ".join(
        target.value if isinstance(target, State) else f"{end_state(target).value} ({target.value})"
        for target in row.to
    )


def _split(split: Split) -> str:
    rest = _receiver(split.to_rest)
    if split.share is None:
        return rest
    return f"{split.share.removesuffix('_minor')} {_receiver(split.to_first)}, rest {rest}"


def _receiver(role: Role | None) -> str:
    return f"to {role.value}" if role else "burned"


if __name__ == "__main__":
    print(mermaid(), calls(), payouts(), sep="\n\n")
