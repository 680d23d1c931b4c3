# SPDX-License-Identifier: MIT
"""The report of a run as one HTML file: no network, readable without its script, safe against a hostile guest.

The guest's text is filtered by `plain` and autoescaped. The data is JSON in which `<`, `>` and `&` are escaped. A
Content-Security-Policy permits only the one script whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation
from rig.report.html.drawing import draw, number, seconds, steps
from rig.report.html.environment import TEMPLATES, environment, stylesheet
from rig.report.html.source import Source
from rig.report.plots.frames import layers, source_link
from rig.report.plots.pages import LARGEST_PICTURES, PagesPicture, most_changed, pages_pictures, png
from rig.report.plots.timeline import Timeline, timeline
from rig.report.terminal import stall_sentence
from rig.run.document import OomReport, Ranked, Run
from rig.run.process_names import Process, process_key
from rig.run.records import Records
from rig.sanitize import plain
from rig.units import format_size

__all__ = ["DATA_VERSION", "report"]

DATA_VERSION = 1
"""Of the JSON in the page; a later version may hold more."""
MOST_RANKED = 12
MOST_PROCESSES = 64
MOST_STEPS = 200
HASHES = ("kernel_hash", "image_hash", "snapshot_hash", "payload_hash")
SIGNS = {
    "reproduced": "✓", "not-reproduced": "✗", "invalid": "?", "error": "!", "held": "✓", "failed": "✗",
    "not-applicable": "–",
}  # fmt: skip


def report(source: Source) -> str:
    """Return the page."""
    run, oom = source.run, next(iter(source.run.ooms), None)
    drawn = timeline(run, source.records, source.oom_event)
    pages = _that_fit(pages_pictures(source.records))
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    explained = _explained(source.events)
    shown = _proofs(explained) & set(range(1, len(source.console) + 1))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            damaged=source.damaged,
            signs=SIGNS,
            css=stylesheet(),
            script=Markup(script),
            script_hash=Markup(f"sha256-{digest}"),
            data=_json(_data(run, drawn)),
            stalls=[stall_sentence(stall) for stall in run.stalls],
            headline=explained[0][0].summary[0].text if explained and explained[0][0].summary else "",
            contents=_contents(source, drawn, pages, explained),
            what=_what(run),
            timeline=drawn,
            panels=draw(drawn) if drawn else [],
            ticks=_ticks(drawn) if drawn else [],
            work=steps(drawn) if drawn else [],
            number=number,
            pages=pages,
            first_page=most_changed(pages) if pages else 0,
            page_png=lambda page: Markup(png(page)),
            map_cost=_map_cost(pages),
            oom=oom,
            layers=layers(oom.frames) if oom else [],
            link=lambda function: source_link(function, run.environment.kernel),
            ranking=oom.ranking[:MOST_RANKED] if oom else (),
            left_out_tasks=max(0, len(oom.ranking) - MOST_RANKED) if oom else 0,
            badness_bar=lambda row: _badness_bar(row, oom),
            explanations=explained,
            processes=_processes(source.records),
            environment=_environment(run),
            steps=run.steps[:MOST_STEPS],
            command=shlex.join(run.command) if run.command else "",
            reproduce=_reproduce(run),
            hashes=_hashes(run),
            console=source.console,
            shown_lines=shown,
            console_cut=source.cut,
        )
    )


def _ticks(drawn: Timeline) -> list[tuple[float, str]]:
    """Return the labels of the time axis: (position from 0 to 1, seconds)."""
    times = drawn.scale.ticks([mark.time for mark in drawn.marks])
    return [(drawn.scale.place(time), text) for time, text in zip(times, seconds(times), strict=True)]


def _contents(
    source: Source,
    drawn: Timeline | None,
    pages: Sequence[PagesPicture],
    explained: Sequence[tuple[Explanation, Event]],
) -> list[tuple[str, str]]:
    ooms, processes = bool(source.run.ooms), bool(_processes(source.records))
    parts = [
        ("what", "What was run", True), ("claims", "Claims", True), ("timeline-section", "Timeline", drawn is not None),
        ("pages", "Page map", bool(pages)), ("trace", "Trace", ooms), ("badness", "Who had to go", ooms),
        ("explanation-1", "Explanation", bool(explained)), ("processes", "Processes", processes),
        ("environment", "Environment", True), ("reproduce", "Reproduce", True),
        ("console", "Console", bool(source.console)),
    ]  # fmt: skip
    return [(id_, title) for id_, title, there in parts if there]


def _explained(events: Sequence[Event]) -> list[tuple[Explanation, Event]]:
    """Return the first of the gravest events (Kind.gravity) with its explanation."""
    from rig.klog.explain import explain

    chosen = sorted(events, key=lambda event: event.kind.gravity)[:1]
    return [(explain(event), event) for event in chosen]


def _proofs(explained: Sequence[tuple[Explanation, Event]]) -> set[int]:
    """Return the numbers of the console lines that the explanation's sentences refer to."""
    found: set[int] = set()
    for explanation, _ in explained:
        sections = [sentence for section in explanation.sections for sentence in section.sentences]
        for sentence in [*explanation.summary, *sections]:
            found.update(sentence.lines)
        for check in explanation.checks:
            found.update(check.lines)
    return found


def _what(run: Run) -> list[tuple[str, str]]:
    guest = {name: format_size(count) if name != "cpus" else str(count) for name, count in run.guest.items() if count}
    rows = [
        ("scenario", run.scenario),
        ("parameters", " ".join(f"{name}={value}" for name, value in run.parameters_shown.items())),
        ("kernel", run.environment.kernel),
        ("sysctls", " ".join(f"{name}={value}" for name, value in run.sysctls.items()) or "the kernel's own"),
        ("machine", " ".join(f"{name}={value}" for name, value in guest.items())),
        ("clock", run.environment.clock),
        ("started", run.started),
        ("time", _times(run)),
    ]
    return [(name, value) for name, value in rows if value]


def _times(run: Run) -> str:
    if run.guest_seconds is None or run.host_seconds is None:
        return ""
    return f"{run.guest_seconds:.1f} s on the guest's clock in {run.host_seconds:.2f} s on the host's"


def _environment(run: Run) -> list[tuple[str, str]]:
    kept = run.environment.model_dump()
    rows = [(name.replace("_", " "), str(value)) for name, value in kept.items() if value and name not in HASHES]
    footprint = {name: value for name, value in run.footprint.model_dump().items() if value is not None}
    rows.append(("the observer", ", ".join(f"{name} {value}" for name, value in footprint.items())))
    rows.append(("heard", f"{run.heard.records} records, {run.heard.lost} lost, {run.heard.bad_lines} not readable"))
    if run.heard.cut_lines:
        rows.append(("cut", f"{run.heard.cut_lines} lines of programs, at 4,096 bytes"))
    rows += [("left out", f"{count:,} bytes of {name}") for name, count in run.left_out.items()]
    rows += [(f"phase {phase.name}", f"{phase.host_seconds:.2f} s on the host's clock") for phase in run.phases]
    return [(name, value) for name, value in rows if value]


def _reproduce(run: Run) -> str:
    words = ["rig", "run", run.scenario_directory if "/" in run.scenario else run.scenario]
    for name, value in run.settings.items():
        words += ["--set", f"{name}={value}"]
    # Name the kernel and every parameter, because their defaults may change with rig and the scenario.
    if run.environment.kernel_name and "kernel" not in run.settings:
        words += ["--kernel", run.environment.kernel_name]
    for name, value in run.parameters_shown.items():
        if name not in run.settings:
            words += ["--set", f"{name}={value}"]
    if (guest := run.recording.guest) is not None:
        words += [word for text in guest.append for word in ("--append", text)]
        words += [word for text in guest.qemu_args for word in (f"--qemu-arg={text}",)]
    return shlex.join([*words, *(["--to-the-end"] if run.to_the_end else [])])


def _hashes(run: Run) -> list[tuple[str, str]]:
    kept = run.environment.model_dump()
    rows = [(name.removesuffix("_hash"), str(kept[name])) for name in HASHES]
    rows += [("recording", run.recording.sha256), ("console.log", run.recording.console_sha256)]
    rows.append(("events.jsonl", run.recording.events_sha256))
    return [(name, value) for name, value in rows if value]


def _badness_bar(row: Ranked, oom: OomReport | None) -> list[tuple[str, str, str]]:
    """Return the parts of a task's badness as (CSS class, left, width), in percent of the largest badness."""
    worst = max((each.points or 0 for each in oom.ranking), default=0) if oom else 0
    if not row.points or worst <= 0:
        return []
    parts = [("", row.rss), ("swap", row.swap), ("tables", row.page_tables)]
    parts.append(("adj", max(0, row.points - sum(size for _, size in parts))))
    found, left = [], 0.0
    for kind, size in parts:
        wide = min(100 - left, 100 * size / worst)
        if wide > 0:
            found.append((kind, f"{left:.2f}", f"{wide:.2f}"))
        left += wide
    return found


def _processes(records: Records) -> list[dict[str, str]]:
    found: dict[Process, dict[str, str]] = {}
    for record in records.items:
        procs = record.get("procs") if record["ev"] == "sample" else [record] if record["ev"] == "exit" else None
        for proc in procs if isinstance(procs, list) else []:
            if not isinstance(proc, Mapping) or type(proc.get("pid")) is not int:
                continue
            row = found.setdefault(process_key(proc), dict.fromkeys(("ppid", "rss_kb", "ended"), ""))
            row |= {
                name: plain(proc.get(name, ""), longest=48) for name in ("comm", "program", "pid", "minflt", "majflt")
            }
            for name in ("ppid", "rss_kb"):
                if name in proc:
                    row[name] = plain(proc[name], longest=20)
            if record["ev"] == "exit":
                how = record.get("signal") or f"code {record.get('code')}"
                row["ended"] = f"{plain(how, longest=20)} at {record['t']:.3f} s"
    return list(found.values())[:MOST_PROCESSES]


def _that_fit(pages: list[PagesPicture]) -> list[PagesPicture]:
    """Leave out every second picture until the rest is small enough. The picture at which the copying stops is kept."""
    while len(pages) > 3 and sum(len(png(page)) for page in pages) > LARGEST_PICTURES:
        pages = [page for index, page in enumerate(pages) if index % 2 == 0 or page.stopped or page is pages[-1]]
        if all(page.stopped for page in pages):
            return pages[:3]
    return pages


def _map_cost(pages: Sequence[PagesPicture]) -> str:
    took = [page.took for page in pages if page.took is not None]
    if not took:
        return ""
    return f"Reading one process's map took {max(took) * 1000:.0f} ms of the guest's clock at most."


def _data(run: Run, drawn: Timeline | None) -> dict[str, Any]:
    data: dict[str, Any] = {"schema_version": DATA_VERSION, "run": run.id, "verdict": run.verdict, "timeline": None}
    if drawn is not None:
        data["timeline"] = {
            "times": drawn.times,
            "places": [round(place, 5) for place in drawn.places],
            "panels": [
                {
                    "unit": panel.unit,
                    "series": [
                        {
                            "id": f"v-{index}-{position}",
                            "name": series.name,
                            "values": [None if value is None else round(value, 3) for value in series.values],
                        }
                        for position, series in enumerate(panel.series)
                    ],
                }
                for index, panel in enumerate(drawn.panels)
            ],
        }
    return data


def _json(data: object) -> Markup:
    """Return JSON in which no text can end the script element: `<`, `>` and `&` are escaped."""
    text = json.dumps(data, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)
