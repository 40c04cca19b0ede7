"""How the console looks: readable on a phone, light or dark as the browser is. The policy allows these very bytes."""

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #57606a; --paper: #fff; --card: #f5f7f9; --line: #d8dee4;
  --link: #0550ae; --wrong: #a40e26; --asked: #7d4e00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --faint: #9aa4ae; --paper: #14171a; --card: #1e2327;
  --line: #363c42; --link: #79b8ff; --wrong: #ff8f9c; --asked: #f0b849 } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 80rem; padding: 1rem; color: var(--ink);
  background: var(--paper) }
a { color: var(--link) } header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center }
h1 { font-size: 1.2rem; margin: 0 } h1 a { color: inherit; text-decoration: none }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem } h3 { font-size: .85rem; color: var(--faint); margin: 1rem 0 .25rem }
p { margin: .5rem 0; max-width: 60rem }
form { display: flex; flex: 1 1 18rem; gap: .5rem; max-width: 40rem; align-items: center }
label { color: var(--faint) }
input, button { font: inherit; padding: .35rem .6rem; border: 1px solid var(--line); border-radius: 4px;
  color: inherit; background: var(--paper) }
input { flex: 1; min-width: 0 } button { background: var(--card); cursor: pointer; white-space: nowrap }
.wrong { color: var(--wrong) } .asked { color: var(--asked) } .faint { color: var(--faint) }
.groups { display: flex; flex-wrap: wrap; gap: 0 1.5rem }
.cards { display: flex; flex-wrap: wrap; gap: .4rem; margin: 0 }
.cards div { background: var(--card); border-radius: 4px; padding: .3rem .7rem; min-width: 5rem }
.cards dt { font-size: .8rem; color: var(--faint) } .cards dd { margin: 0; font-variant-numeric: tabular-nums }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 }
.facts dt { color: var(--faint) } .facts dd { margin: 0; min-width: 0; overflow-x: auto }
.box { overflow-x: auto; border: 1px solid var(--line); border-radius: 4px }
table { border-collapse: collapse; width: 100%; font-size: .93rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; white-space: nowrap;
  border-bottom: 1px solid var(--line) }
tbody tr:last-child td { border-bottom: 0 }
th { font-size: .8rem; font-weight: 600; color: var(--faint); background: var(--card) }
.words { display: block; width: max-content; max-width: 24rem; white-space: normal; overflow-wrap: break-word }
code { font: .9em ui-monospace, monospace; background: var(--card); border-radius: 3px; padding: 0 .25rem }
code span { white-space: nowrap }
td code { background: none; padding: 0 }
ul { margin: .5rem 0; padding-left: 1.25rem } li { margin: .2rem 0 }
@media (max-width: 40rem) {
  form { flex-wrap: wrap } label { flex-basis: 100% } input { font-size: 16px }
  .box { border: 0 } table, tbody, tr { display: block } thead { display: none }
  tr { padding: .5rem 0; border-top: 1px solid var(--line) }
  td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: .5rem; padding: .1rem 0; border: 0;
    white-space: normal; overflow-x: auto }
  td.none { display: none } td::before { content: attr(data-head); color: var(--faint) }
  .words { width: auto; max-width: none }
}
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}
