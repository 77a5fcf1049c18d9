"""The style of a report's page: light or dark as its reader wants it, and light on A4 paper."""

_LIGHT = (
    "--paper:#fff;--ground:#f4f5f7;--ink:#1d2329;--soft:#5b6570;--rule:#dfe3e8;--ok:#2a78a8;--error:#c8402f;"
    "--timeout:#e08a1e;--oom:#8a4fb0;--killed:#5a1f1f;--lost:#7b8794;--cancelled:#b9c1ca;--p50:#2a78a8;--p95:#e08a1e;"
    "--p99:#c8402f"
)
_DARK = (
    "--paper:#1b2026;--ground:#12161a;--ink:#e6eaee;--soft:#9aa5b1;--rule:#303841;--ok:#5aa9d6;--error:#f0705e;"
    "--timeout:#f0ac4e;--oom:#bb8adb;--killed:#d9a3a3;--lost:#8492a0;--cancelled:#58636f;--p50:#5aa9d6;--p95:#f0ac4e;"
    "--p99:#f0705e"
)
_KINDS = ("ok", "error", "timeout", "oom", "killed", "lost", "cancelled", "p50", "p95", "p99")
_COLOURS = "".join(
    f"rect.{kind},circle.{kind}{{fill:var(--{kind})}}.line.{kind}{{stroke:var(--{kind})}}"
    f".legend i.{kind}{{background:var(--{kind})}}"
    for kind in _KINDS
)
STYLE = f"""
:root{{{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,"Liberation Sans",Arial,sans-serif;
-webkit-print-color-adjust:exact;print-color-adjust:exact}}
main{{max-width:1000px;margin:0 auto;padding:28px 20px 40px}}
header p{{margin:0;color:var(--soft)}}
h1{{margin:2px 0 4px;font-size:30px;line-height:1.2}}
h2{{margin:0 0 2px;font-size:18px}}
section{{margin-top:18px;padding:16px 18px;background:var(--paper);border:1px solid var(--rule);border-radius:10px}}
.tiles{{display:grid;grid-template-columns:repeat(3,1fr);gap:14px 18px}}
.tile span,.tile small{{display:block;color:var(--soft);font-size:13px}}
.tile b{{display:block;font-size:25px;line-height:1.3;font-variant-numeric:tabular-nums;white-space:nowrap}}
.tile.bad b{{color:var(--error)}}
.legend{{margin:0 0 6px;font-size:13px;color:var(--soft)}}
.legend span{{margin-right:16px;white-space:nowrap}}
.legend i{{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px;vertical-align:-1px}}
.chart{{display:block;width:100%;min-width:560px;height:auto}}
.chart text{{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}}
.chart .grid{{stroke:var(--rule);stroke-width:1}}
.chart .line{{fill:none;stroke-width:2;stroke-linejoin:round}}
.chart .hover{{fill:var(--ink);opacity:0}}
.chart g:hover .hover{{opacity:.07}}
.share{{display:block;width:90px;height:8px;margin-top:7px}}
.wide{{overflow-x:auto}}
table{{border-collapse:collapse;width:100%;font-size:14px;margin-top:6px}}
th{{text-align:left;font-weight:600;color:var(--soft);font-size:13px;vertical-align:bottom}}
th,td{{padding:5px 12px 5px 0;border-bottom:1px solid var(--rule)}}
td{{vertical-align:top;white-space:nowrap}}
th.n,td.n{{text-align:right;font-variant-numeric:tabular-nums}}
td.text{{white-space:normal;overflow-wrap:anywhere}}
td.held{{color:var(--soft)}}
td.missed{{color:var(--error);white-space:normal}}
footer{{margin-top:18px;color:var(--soft);font-size:13px}}
{_COLOURS}
@media (min-width:940px){{.tiles{{grid-template-columns:repeat(6,auto)}}}}
@media (max-width:520px){{.tiles{{grid-template-columns:repeat(2,1fr)}}}}
@page{{size:A4;margin:14mm}}
@media print{{
:root{{{_LIGHT}}}
body{{background:#fff;font-size:12px}}
main{{max-width:none;padding:0}}
section{{break-inside:avoid;margin-top:10px;padding:10px 12px}}
.tiles{{grid-template-columns:repeat(6,auto)}}
.tile b{{font-size:17px}}
h1{{font-size:23px}}
.tile span,.tile small,.legend,footer,th{{font-size:11px}}
.share{{width:60px}}
td,th{{padding:3px 9px 3px 0}}
.chart{{min-width:0;max-height:37mm}}
h2{{break-after:avoid;font-size:15px}}
table{{font-size:11px}}
tr{{break-inside:avoid}}
}}
"""
