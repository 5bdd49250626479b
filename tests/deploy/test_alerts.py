"""Alerts fire when they should; alerts, dashboard and handbook speak of metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from node.core.job import SILENCE, Actor, State
from node.ports.figures import Figures
from node.telemetry import metrics

pytestmark = pytest.mark.xdist_group("promtool")  # fetched once, in one process

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
TRIED = DEPLOY / "prometheus" / "alerts_test.yaml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "coordinator.json").read_text())
HANDBOOK = (DEPLOY / "OPERATIONS.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",), "gauge": ("",)}
#: Prometheus makes it.
FOREIGN = {"up"}


def families() -> Iterator[Metric]:
    """Every metric that a coordinator tells, with or without values."""
    registry = CollectorRegistry()
    registry.register(metrics.FiguresCollector(lambda: Figures((), (), 0, 0, 0), dict))
    yield from metrics.REGISTRY.collect()
    yield from registry.collect()


NAMES = {family.name + suffix for family in families() for suffix in SUFFIXES[family.type]}


def names_in(expression: str) -> set[str]:
    words = set(re.findall(r"\b(?:hallmark|process)_\w+|\bup\b", expression))
    assert words, expression
    return words


def test_prometheus_takes_configuration_and_alerts(promtool: Callable[..., str]) -> None:
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yaml")
    assert f"{len(RULES)} rules found" in promtool("check", "rules", ALERTS)


def test_each_alert_fires_when_it_should_and_not_before(promtool: Callable[..., str]) -> None:
    promtool("test", "rules", TRIED)


def test_each_alert_was_tried_both_ways() -> None:
    tried = [case for test in yaml.safe_load(TRIED.read_text())["tests"] for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in RULES}
    assert {case["alertname"] for case in tried if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in tried if not case.get("exp_alerts")} == alerts


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_asked_for_exists(expression: str) -> None:
    assert names_in(expression) <= NAMES | FOREIGN


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_state_that_is_asked_for_exists(expression: str) -> None:
    for asked in re.findall(r'state=~?"([^"]+)"', expression):
        assert set(asked.split("|")) <= {state.value for state in State}


def test_the_bond_is_watched_in_every_state_in_which_the_coordinator_must_act() -> None:
    (near,) = (rule for rule in RULES if rule["alert"] == "HallmarkDeadlineNear")
    ours = {state.value for state, silence in SILENCE.items() if silence.actor is Actor.COORDINATOR}
    assert set(re.findall(r'state=~"([^"]+)"', near["expr"])[0].split("|")) == ours


def test_the_dashboards_expressions_can_be_evaluated(promtool: Callable[..., str], tmp_path: Path) -> None:
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(shown)
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(shown)} rules found" in promtool("check", "rules", file)


def test_no_two_panels_share_an_id_or_a_place() -> None:
    panels = DASHBOARD["panels"]
    places = [tuple(panel["gridPos"][axis] for axis in "xy") for panel in panels]
    assert len(set(places)) == len({panel["id"] for panel in panels}) == len(panels)


def test_the_handbook_says_what_to_do_on_each_alert() -> None:
    headings = re.findall(r"^### (Hallmark\w+)$", HANDBOOK, re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]


def test_the_handbook_lists_every_metric_with_its_help() -> None:
    listed = dict(re.findall(r"^\| `(hallmark_\w+)` \| .* \| (.+) \|$", HANDBOOK, re.MULTILINE))
    told = {
        family.name + SUFFIXES[family.type][0].replace("_bucket", ""): family.documentation
        for family in families()
        if family.name.startswith("hallmark_")
    }
    assert listed == told
