"""`kerbstone rig faults` and `kerbstone rig schema`: what a scenario file may say."""

import argparse

from edge.rig.faultcatalogue import FAULT_KINDS, TARGET_TEXTS, kinds_of
from edge.rig.scenario import LAYERS
from edge.rig.scenarioschema import scenario_schema
from edge.terminal import echo, echo_json


def add_acts(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    faults = acts.add_parser(
        "faults", help="what can break, and on which layer",
        description="List what can break in a scenario: by target, with its measure, and why a "
        "layer cannot do it.",
    )  # fmt: skip
    faults.add_argument("target", nargs="?", choices=[*TARGET_TEXTS], help="only faults of this")
    faults.add_argument("--json", action="store_true", help="one JSON object a line for each fault")
    faults.set_defaults(act_run=run_faults)
    schema = acts.add_parser(
        "schema", help="the JSON Schema of a scenario file",
        description="Print the JSON Schema of a scenario file, for an editor.",
    )  # fmt: skip
    schema.set_defaults(act_run=run_schema)


def run_faults(args: argparse.Namespace) -> int:
    rows = [row for row in FAULT_KINDS if args.target in (None, row.target)]
    if args.json:
        for row in rows:
            measure = row.measure
            echo_json({
                "target": row.target, "kind": row.name, "text": row.text, "seen": row.seen,
                "heals": row.heals, "cannot": dict(row.cannot), "layers": row.layers,
                "amount": None if measure is None else {
                    "unit": measure.unit, "low": measure.low, "high": measure.high,
                    "default": measure.default,
                },
            })  # fmt: skip
        return 0
    for target in dict.fromkeys(row.target for row in rows):
        echo(f"{target}: {TARGET_TEXTS[target]}")
        width = max(map(len, kinds_of(target)))
        for row in (one for one in rows if one.target == target):
            amount = "" if row.measure is None else f"; amount: {row.measure.text}"
            end = "" if row.heals else "; over at once"
            echo(f"  {row.name:<{width}}  {row.text}{amount}{end}")
            for layer in LAYERS:
                if layer in row.cannot:
                    echo(f"  {'':<{width}}    not on {layer}: {row.cannot[layer]}")
    return 0


def run_schema(_: argparse.Namespace) -> int:
    echo_json(scenario_schema(), indent=2)
    return 0
