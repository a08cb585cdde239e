"""The models as answers of the doctor: loaded and proved, or as the running gateway uses them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.config import Site
from edge.core.humanize import count_text
from edge.diagnose.checks import CheckResult, passed, unchecked, warn


def told_model_results(status: Mapping[str, Any]) -> Iterator[CheckResult]:
    """By what the running gateway says of each; its list has what is wrong for longer."""
    told = status.get("models")
    models = told if isinstance(told, Mapping) else {}
    for name, one in models.items():
        if not isinstance(one, Mapping):
            yield unchecked("models", "switched off in the site file", str(name))
        elif one.get("answers") == "model":
            yield passed("models", f"{one.get('model')} answers", str(name))
        else:
            why = str(one.get("why") or "it is not loaded yet")
            yield unchecked("models", f"its rule answers now: {why}", str(name))
    if not models:
        yield unchecked("models", "the gateway has none")


def model_results(site: Site) -> Iterator[CheckResult]:
    """Load each that is switched on, and let it reproduce its golden cases; some seconds."""
    from edge.infer.bundlecheck import bundles_in, check_bundle  # numpy: only who asks pays for it
    from models import BUNDLES

    switched = {
        "anomaly": site.models.anomaly,
        "congestion": site.models.congestion and site.lanes,
        "loopfault": site.models.loopfault and site.lanes,
    }
    wanted = [name for name, on in switched.items() if on]
    if not wanted:
        yield unchecked("models", "all are switched off in the site file")
        return
    folder = Path(site.models.dir) if site.models.dir else BUNDLES
    known = {path.name: path for path in bundles_in(folder)}
    for name in wanted:
        if name not in known:
            remedy = "Correct models.dir in the site file, or install the package again"
            yield warn("models", f"{folder} has no model {name}: its rule is used", remedy, name)
            continue
        report = check_bundle(known[name])
        for each in report.faults:
            if not each.mild:
                yield warn("models", f"Model {name}: {each.text}", each.do, name)
        if report.is_sound:
            seen = f"{count_text(report.golden, 'golden case')} reproduced"
            yield passed("models", seen, name)
