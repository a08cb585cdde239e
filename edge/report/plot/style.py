"""Colours and how things are drawn: light, dark, and always light on paper.

Lanes take the colours of Okabe and Ito, made darker or lighter for their ground; states of loops
differ in height and pattern too, so that grey paper and any eye can tell them apart.
"""

from string import Template
from typing import Final

LIGHT: Final = {
    "ground": "#ffffff", "ink": "#1b1f24", "muted": "#57606a", "grid": "#dfe3e8",
    "panel": "#fafbfc", "jam": "#fbe3d4", "congestion": "#d55e00", "fault": "#8f2d56",
    "anomaly": "#0072b2", "other": "#6e7781", "ok": "#8c959f", "warn": "#e69f00",
    "on": "#ffffff", "p": "#1b1f24", "p5": "#0072b2", "p15": "#aa3377",
    "l0": "#0072b2", "l1": "#d55e00", "l2": "#009e73", "l3": "#aa3377",
    "l4": "#8a6d00", "l5": "#4fa3d8", "l6": "#5b3fb5", "l7": "#444c56",
}  # fmt: skip
DARK: Final = {
    "ground": "#0f1418", "ink": "#e8edf2", "muted": "#9da7b1", "grid": "#2a323a",
    "panel": "#141a20", "jam": "#40271a", "congestion": "#ff8a3d", "fault": "#e3719d",
    "anomaly": "#5ab0e8", "other": "#98a2ad", "ok": "#6e7781", "warn": "#f0b429",
    "on": "#0f1418", "p": "#e8edf2", "p5": "#5ab0e8", "p15": "#d98bd0",
    "l0": "#5ab0e8", "l1": "#ff8a3d", "l2": "#2fc79a", "l3": "#d98bd0",
    "l4": "#e3c341", "l5": "#9ad4ff", "l6": "#a897f5", "l7": "#c3cbd4",
}  # fmt: skip
LANES: Final = 8

FORM_CSS: Final = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.head{font-size:16px;font-weight:600}.name{font-weight:600}.small{font-size:11px}
.line{fill:none;stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}
.single{stroke-dasharray:5 4}.in5{stroke-dasharray:7 3}.in15{stroke-dasharray:2 3}
.band{stroke:none;opacity:.16}.bar text{font-size:11px}
.w-fault,.w-none{font-size:10px;pointer-events:none}.end{text-anchor:end}.mid{text-anchor:middle}
"""
COLOURS: Final = Template("""
.ground{fill:$ground}text{fill:$ink}.muted{fill:$muted}
.panel .back{fill:$panel}.rule{stroke:$grid}.frame{fill:none;stroke:$grid}.jam{fill:$jam}
.s-ok{fill:$ok}.s-warn{fill:$warn}.s-fault{fill:$fault}.s-none{fill:none;stroke:$grid}
.w-fault{fill:$on}.w-none{fill:$muted}
.bar rect{fill:$other}.bar text{fill:$on}.bar.congestion rect{fill:$congestion}
.bar.sensor_fault rect{fill:$fault}.bar.anomaly rect{fill:$anomaly}
.line.now{stroke:$p}.line.in5{stroke:$p5}.line.in15{stroke:$p15}.cross{stroke:$muted}
""")
LANE: Final = Template(".line.l$i,.key.l$i{stroke:$c}.band.l$i{fill:$c}\n")
PAGE: Final = """
body{margin:0 auto;max-width:1500px;padding:16px 20px;
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
h1{font-size:22px;margin:0 0 2px}h2{font-size:17px;margin:22px 0 6px}p{margin:2px 0 10px}
svg{display:block;width:100%;height:auto}section{margin:10px 0 18px}
table{border-collapse:collapse;font-size:13px}
td,th{padding:3px 14px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.tools{position:sticky;top:0;display:flex;flex-wrap:wrap;gap:6px 8px;align-items:center;
padding:8px 0;z-index:2;font-size:13px}
.tools button,.tools select{font:inherit;padding:3px 9px;border:1px solid;border-radius:5px;
cursor:pointer}.tools button[aria-pressed=false]{opacity:.45;text-decoration:line-through}
.tools .gap{width:12px}button i{display:inline-block;width:14px;height:3px;margin-right:5px;
vertical-align:middle}
#told{position:fixed;z-index:3;pointer-events:none;padding:7px 10px;font-size:12px;
border:1px solid;border-radius:6px;display:none}
#told p{margin:0;max-width:420px}#told td,#told th{padding:0 11px 0 0;border:0;white-space:nowrap}
:focus-visible{outline:2px solid #0072b2;outline-offset:2px}[hidden]{display:none!important}
svg.view{touch-action:pan-y;user-select:none}svg.view .panel{cursor:crosshair}
@media print{body{max-width:none;padding:0}.tools,#told{display:none!important}
section{break-inside:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
PAGE_COLOURS: Final = Template("""
body,.tools{background:$ground;color:$ink}.note,caption{color:$muted}td,th{border-color:$grid}
.tools button,.tools select,#told{background:$panel;color:$ink;border-color:$grid}
""")
DARK_MEDIA: Final = "@media screen and (prefers-color-scheme:dark){%s}\n"


def picture_css() -> str:
    """Of the SVG."""
    return FORM_CSS + _colours(LIGHT) + DARK_MEDIA % _colours(DARK)


def page_css() -> str:
    """Of the page around it."""
    light, dark = PAGE_COLOURS.substitute(LIGHT), PAGE_COLOURS.substitute(DARK)
    keys = "".join(f"i.l{i}{{background:{LIGHT[f'l{i}']}}}" for i in range(LANES))
    night = "".join(f"i.l{i}{{background:{DARK[f'l{i}']}}}" for i in range(LANES))
    return PAGE + light + keys + DARK_MEDIA % (dark + night)


def _colours(palette: dict[str, str]) -> str:
    lanes = (LANE.substitute(i=i, c=palette[f"l{i}"]) for i in range(LANES))
    return COLOURS.substitute(palette) + "".join(lanes)
