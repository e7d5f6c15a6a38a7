"""The page's style: light and dark, wide and narrow, on paper."""

from __future__ import annotations

_LIGHT = """
--bg:#fcfcfa;--panel:#fff;--ink:#1c2430;--soft:#566070;--rule:#dfe3e8;--grid:#e6e9ed;
--warn:#8a4b00;--warnbg:#fff5e2;--c0:#c2500a;--c1:#1f5fbf;--c2:#0c7a52;--c3:#8a3ea8;
--c4:#8d6a00;--c5:#b3245c;--k0:#a9c9f0;--k1:#f4bd8c;--k2:#a8dcc0;--k3:#d9bbe8;--k4:#f0dc8a;
--k5:#f2b5c6;--k6:#b5dfe6;--k7:#cdd3da;--k8:#c9d994;--k9:#e3cdb5;
"""
_DARK = """
--bg:#12161c;--panel:#1a2028;--ink:#e6eaf0;--soft:#a3adba;--rule:#323b47;--grid:#2a323d;
--warn:#ffc46b;--warnbg:#33270f;--c0:#ff9a57;--c1:#7db1ff;--c2:#5cd0a0;--c3:#d79af0;
--c4:#e0c04a;--c5:#ff86ab;--k0:#2c568c;--k1:#8a4a17;--k2:#22694a;--k3:#633f7b;--k4:#6d5a10;
--k5:#80364e;--k6:#23646f;--k7:#4a5461;--k8:#525f1d;--k9:#654c30;
"""
# Variables of the plan, and phases, that never meet in one figure share colours.
_FILLS = {
    0: ("input", "idle-before", "idle-after"),
    1: ("X", "forward", "training"),
    2: ("dXY", "load"),
    3: ("dY", "backward"),
    4: ("W", "update"),
    5: ("dW", "checkpoint"),
    6: ("momenta", "evaluate"),
    7: ("statistics", "other", "epoch"),
    8: ("masks",),
    9: ("scratch",),
}
_BASE = """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:840px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:40px 0 12px;padding-bottom:6px;border-bottom:1px solid var(--rule)}
h3{font-size:1rem;margin:0 0 6px;overflow-wrap:anywhere}
p{margin:0 0 12px}
.lead,figcaption,.note,footer{color:var(--soft)}
.note,figcaption,footer{font-size:.86rem}
.warn{background:var(--warnbg);color:var(--warn);border-left:4px solid var(--warn);padding:8px 12px;
margin:0 0 8px;border-radius:0 6px 6px 0;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:20px 0;
padding:0;list-style:none}
.cards li{background:var(--panel);border:1px solid var(--rule);border-radius:10px;padding:12px 14px}
.cards h3{font-size:.82rem;color:var(--soft);font-weight:600;margin:0 0 4px}
.cards p{margin:0;display:flex;justify-content:space-between;align-items:baseline;gap:0 8px;
flex-wrap:wrap}
.cards b{font-size:1rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.cards .who{font-size:.84rem;color:var(--soft);overflow-wrap:anywhere}
.cards .ratio{font-size:.82rem;color:var(--soft);border-top:1px solid var(--rule);margin-top:6px;
padding-top:5px}
figure{margin:0 0 22px;background:var(--panel);border:1px solid var(--rule);border-radius:10px;
padding:14px 16px 12px;break-inside:avoid}
figure svg{display:block;width:100%;height:auto}
figure svg.narrow{display:none}
.pair{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
.pair svg.narrow{display:block}.pair svg.wide{display:none}
figcaption{margin-top:8px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:3px 16px;padding:0;margin:8px 0 0;
font-size:.84rem}
.legend li{display:flex;align-items:center;gap:6px;overflow-wrap:anywhere}
figure svg.sample{width:42px;height:14px;flex:none}
.defs{position:absolute}
.scroll{overflow-x:auto;margin:0 0 10px;border:1px solid var(--rule);border-radius:10px;
background:var(--panel)}
.scroll:focus-visible{outline:2px solid var(--c1);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:6px 12px;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top;
white-space:nowrap}
tr:last-child>*{border-bottom:0}
thead th{font-size:.84rem;color:var(--soft);vertical-align:bottom}
th.word,td.word{text-align:left}
tbody th{font-weight:500;text-align:left;min-width:7.5rem}
td.long{white-space:normal;min-width:9rem;overflow-wrap:anywhere}
td.code{font:.78rem/1.5 ui-monospace,"DejaVu Sans Mono",monospace;white-space:normal;
overflow-wrap:anywhere;min-width:11rem}
table.many{font-size:.8rem}
table.many th,table.many td{padding:5px 6px}
table.many th,table.many td.long{white-space:normal;overflow-wrap:anywhere;min-width:3.4rem}
table.many tbody th{min-width:6rem}
tr.sum>*{border-top:2px solid var(--soft);font-weight:600}
footer{margin-top:40px;border-top:1px solid var(--rule);padding-top:12px}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
fill:var(--soft)}
svg .name{fill:var(--soft);font-weight:600}
svg .strong{fill:var(--ink);font-weight:600}
svg .strong .name{font-weight:400}
svg .inside{fill:var(--ink)}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}
svg .lane{font-size:11px}
.grid{stroke:var(--grid);fill:none}.tick{stroke:var(--grid);fill:none;stroke-dasharray:2 3}
.axis{stroke:var(--soft);fill:none}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.record .line{stroke-width:1.4}
.dashed{stroke-dasharray:5 4;stroke-linecap:butt}.dotted{stroke-dasharray:1.5 4}
.line.dashed{stroke-width:1.5}
.level{stroke:var(--ink);stroke-width:1.5;fill:none}.level.faint{stroke:var(--soft);stroke-width:1}
.marker{fill:var(--c)}.marker.ringed{fill:var(--panel);fill-opacity:.75;stroke:var(--c);stroke-width:2}
.ink{--c:var(--ink)}
.tip{fill:none;pointer-events:all}
.tip:hover{stroke:var(--soft)}
.shade{fill:var(--k);fill-opacity:.5}
.part{fill:var(--k);stroke:var(--panel);stroke-width:1}
path.lane{fill:var(--k);stroke:var(--soft);stroke-width:.5}
path.lane.odd{fill:var(--panel)}
.hatch{stroke:var(--ink);stroke-opacity:.3;stroke-width:1;fill:none}
.pointer{stroke:var(--ink);stroke-width:2.5;fill:none}
@media(max-width:680px){
main{padding:18px 12px 32px}h1{font-size:1.4rem}
.pair{grid-template-columns:minmax(0,1fr);gap:0}
figure{padding:10px 8px}figure svg.wide{display:none}figure svg.narrow{display:block}
.cards{grid-template-columns:repeat(2,minmax(0,1fr));gap:8px}.cards li{padding:10px}
th,td{padding:6px 8px}tbody th,thead th{white-space:normal}
}
@media print{
body{background:#fff;font-size:11pt}main{max-width:none;padding:0}
figure,.cards li,.scroll{border-color:#ccc}.scroll{overflow:visible}
h2{break-after:avoid}th,td{white-space:normal}
figure svg.narrow{display:none}figure svg.wide{display:block}
.pair svg.narrow{display:block}.pair svg.wide{display:none}
.pair{grid-template-columns:repeat(2,minmax(0,1fr))}
}
"""


def style_sheet() -> str:
    """Return the CSS; it names nothing outside of the page."""
    light, dark = "".join(_LIGHT.split("\n")), "".join(_DARK.split("\n"))
    colors = "".join(f".c{n}{{--c:var(--c{n})}}" for n in range(6))
    kinds = "".join(
        f"{','.join(f'.k-{name}' for name in names)}{{--k:var(--k{n})}}"
        for n, names in _FILLS.items()
    )
    # Paper is white whatever the screen is.
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"{colors}{kinds}{_BASE}"
    )
