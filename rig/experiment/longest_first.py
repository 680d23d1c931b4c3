# SPDX-License-Identifier: MIT
"""Begin with the scenarios that took longest last time: a long one that begins last runs alone at the end.

Graham (1969, Bounds on multiprocessing timing anomalies): so ordered, the whole takes at most 4/3 of the shortest time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from rig.experiment.catalogue import Finished
from rig.experiment.request import Request
from rig.image.store import Store
from rig.whole_file import read_object, write_unsynced

__all__ = ["longest_first", "note_durations"]

DURATIONS = "durations.json"
"""File of the cache: scenario -> host seconds of its last run."""


def longest_first(store: Store, requests: Sequence[Request]) -> list[Request]:
    """Return the requests, the longest first. One of which nothing is known may be long: it comes before the others."""
    known = read_object(store.root / DURATIONS)

    def seconds(request: Request) -> float:
        found = known.get(request.scenario)
        return found if isinstance(found, int | float) else math.inf

    return sorted(requests, key=seconds, reverse=True)


def note_durations(store: Store, finished: Iterable[Finished]) -> None:
    """Note how long the runs took, where the cache can be written."""
    took = {
        each.request.scenario: each.run.host_seconds
        for each in finished
        if each.run is not None and each.run.host_seconds is not None
    }
    write_unsynced(store.root / DURATIONS, json.dumps(read_object(store.root / DURATIONS) | took))
