"""``bailiwick doctor``: is everything whole, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict

import click

from core.diagnosis import Verdict, examine
from core.engine import Duties
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation

_MARKS = {Verdict.GOOD: "ok  ", Verdict.ADVICE: "note", Verdict.DAMAGED: "BAD "}


@click.command()
@common_options
@pass_invocation
@click.pass_context
def doctor(context: click.Context, invocation: Invocation) -> None:
    """Check permissions, disk, database, documents, index and model. Exits 1 when something is damaged."""
    with opened(invocation, "bailiwick doctor", Duties.SEARCH, or_viewer=True, must_exist=True) as workspace:
        findings = list(examine(workspace))
    damaged = any(finding.verdict is Verdict.DAMAGED for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.verdict]} {finding.check:12} {finding.sentence}")
        if finding.cure:
            lines.append(f"     {'':12} → {finding.cure}")
    invocation.answer({"damaged": damaged, "findings": [asdict(finding) for finding in findings]}, lines)
    context.exit(1 if damaged else 0)
