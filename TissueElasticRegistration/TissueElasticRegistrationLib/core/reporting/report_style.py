"""The look of the report: calm, readable on light and dark screens and on paper."""

CSS = """
:root { color-scheme: light dark; --text: #1d2329; --soft: #5c6670; --page: #fbfbfa; --card: #ffffff; --line: #dfe3e6;
  --problem: #b3261e; --caution: #9a6200; --fine: #2f6f4f; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7ea; --soft: #9aa4ad; --page: #15181b; --card: #1d2125;
  --line: #343a40; --problem: #ff8a80; --caution: #f0b45a; --fine: #7fc8a2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
header p { margin: 0; color: var(--soft); }
h1 { margin: 0 0 1.25rem; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; }
h3 { margin: 1.75rem 0 .5rem; font-size: 1rem; }
small, .none, .notes, details, figcaption { color: var(--soft); font-size: .875rem; font-weight: normal; }
.verdict { background: var(--card); border: 1px solid var(--line); border-left: .35rem solid var(--fine);
  border-radius: .4rem; padding: 1rem 1.25rem; }
.verdict.caution { border-left-color: var(--caution); }
.verdict.problem { border-left-color: var(--problem); }
.verdict p { margin: 0 0 .75rem; font-size: 1.1rem; }
.verdict ul { list-style: none; margin: 0; padding: 0; }
.verdict li { display: grid; grid-template-columns: 8.5rem 1fr; gap: .75rem; padding: .3rem 0;
  border-top: 1px solid var(--line); }
.verdict b { font-weight: 600; }
li.problem b { color: var(--problem); } li.caution b { color: var(--caution); } li.fine b { color: var(--fine); }
li.unmeasured b { color: var(--soft); }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .7rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-size: .875rem; font-weight: 600; white-space: normal;
  vertical-align: bottom; }
th:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
tbody th { font-weight: 500; }
th i { display: inline-block; width: .75rem; height: .75rem; margin-right: .5rem; border-radius: .15rem; }
details { margin-top: .6rem; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(16.5rem, 1fr)); gap: .9rem;
  align-items: start; }
.landscapes { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: .9rem; }
figure { margin: 0; } img { display: block; width: auto; height: auto; max-width: 100%; max-height: 22rem;
  border-radius: .25rem; }
figcaption { padding-top: .25rem; }
.notes { margin-top: 1.25rem; padding-left: 1.1rem; }
@media (max-width: 40rem) { .verdict li, dl { grid-template-columns: 1fr; gap: 0; } }
@media print { body { max-width: none; } figure, .verdict { break-inside: avoid; } }
"""
