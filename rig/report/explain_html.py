"""Explanations as one HTML file: no script, no network, the log's own text escaped."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2

from rig.klog.explain.model import Bar, Explanation, Picture
from rig.klog.explain.words import size
from rig.klog.model import Event
from rig.report.sanitize import plain

__all__ = ["html_report"]

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ heading }}</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2329;
 background: #fff } h1 { font-size: 1.5rem } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid
 #ccd3da; padding-top: 1rem } h3 { font-size: 1rem; margin: 1.25rem 0 .25rem } ul { margin: .25rem 0; padding-left:
 1.25rem } table { border-collapse: collapse } td, th { padding: .15rem .75rem .15rem 0; text-align: left;
 vertical-align: top } .line { color: #66717c; font-size: .85em; white-space: nowrap } .summary { font-size: 1.1rem }
 .bad { color: #a4161a } .cost { color: #66717c } pre { overflow-x: auto; background: #f4f6f8; padding: .75rem;
 font-size: .85rem } .bar { position: relative; width: 24rem; height: .9rem; background: #e9edf1 }
 .bar i { position: absolute; left: 0; top: 0; bottom: 0; background: #2a7f9e } .bar i.low { background: #a4161a }
 .bar b { position: absolute; top: -.15rem; bottom: -.15rem; width: 2px; background: #1d2329 }
 @media (prefers-color-scheme: dark) { body { background: #14181c; color: #dfe5ea } pre, .bar { background: #20262c }
  .bar b { background: #dfe5ea } h2 { border-color: #38424c } }
</style></head><body>
<h1>{{ heading }}</h1>
<table><tr><th>#</th><th>kind</th><th>time</th><th>lines</th><th>title</th></tr>
{% for event in events %}<tr><td>{{ event.number }}</td><td>{{ event.kind }}</td>
<td>{% if event.time is not none %}{{ "%.3f" | format(event.time) }}{% else %}{{ plain(event.wall or "") }}{% endif
%}</td> <td>{{ event.line }}-{{ event.last_line }}</td>
<td>{{ plain(event.title) }}{% if event.caused_by %} (came of {{ event.caused_by }}){% endif %}
{% if event.corrupted %} <span class="bad">damaged</span>{% endif %}</td></tr>
{% endfor %}</table>
{% macro proof(lines) %}{% if lines %} <span class="line">[line{{ "" if lines | length == 1 else "s" }}
{{ lines | join(", ") }}]</span>{% endif %}{% endmacro %}
{% for explanation, event in explained %}
<h2>Event {{ explanation.number }}: {{ plain(explanation.title) }}</h2>
{% for sentence in explanation.summary %}<p class="summary">{{ plain(sentence.text) }}{{ proof(sentence.lines) }}</p>
{% endfor %}
{% for picture in explanation.pictures %}<h3>{{ picture.title }}</h3>
<table>{% for bar in picture.bars %}{% set whole = reach(picture, bar) %}
<tr><td>{{ plain(bar.label) }}</td><td><div class="bar"><i {% if bar.marks and bar.value_kb <= bar.marks[0][1]
%}class="low"{% endif %}
 style="width:{{ share(bar.value_kb, whole) }}%"></i>{% for name, value in bar.marks %}<b title="{{ name }}"
 style="left:{{ share(value, whole) }}%"></b>{% endfor %}</div></td><td>{{ size(bar.value_kb) }}</td>
<td class="line">{% for name, value in bar.marks %}{{ name }} {{ size(value) }} {% endfor %}</td></tr>
{% endfor %}</table>
{% endfor %}
{% for section in explanation.sections %}<h3>{{ section.title }}</h3>
<ul>{% for sentence in section.sentences %}<li>{{ plain(sentence.text) }}{{ proof(sentence.lines) }}</li>
{% endfor %}</ul>
{% endfor %}
{% if explanation.remedies %}<h3>What would have changed it</h3>
<ul>{% for remedy in explanation.remedies %}<li>{{ plain(remedy.what) }}. <span class="cost">Cost: {{
plain(remedy.cost) }}.</span></li> {% endfor %}</ul>{% endif %}
{% if explanation.checks %}<h3>Self-checks</h3>
<ul>{% for check in explanation.checks %}<li{% if check.ok is false %} class="bad"{% endif %}>
{{ "holds" if check.ok else "not so" }}: {{ check.name }} ({{ plain(check.detail) }}){{ proof(check.lines) if
check.ok is false }}</li> {% endfor %}</ul>{% endif %}
{% if explanation.limits %}<h3>What this log cannot say</h3>
<ul>{% for limit in explanation.limits %}<li>{{ plain(limit) }}</li>
{% endfor %}</ul>{% endif %}
{% if event.unknown %}<h3>Lines within it that were not understood</h3>
<pre>{% for line in event.unknown %}{{ line.line }}: {{ plain(line.text) }}
{% endfor %}</pre>{% endif %}
{% endfor %}
</body></html>
"""


def html_report(events: Sequence[Event], explanations: Sequence[Explanation], *, heading: str) -> str:
    """Return the page: a table of all events, then the explanations given."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    by_number = {event.number: event for event in events}
    return environment.from_string(_TEMPLATE).render(
        heading=plain(heading),
        events=events,
        explained=[(explanation, by_number[explanation.number]) for explanation in explanations],
        plain=plain,
        size=size,
        share=lambda value, whole: f"{min(100 * value / whole, 100):.2f}" if whole else "0",
        reach=_reach,
    )


def _reach(picture: Picture, bar: Bar) -> int:
    if bar.marks:
        return max(bar.value_kb, *(value for _name, value in bar.marks))
    return picture.whole_kb or max((entry.value_kb for entry in picture.bars), default=0)
