# SPDX-License-Identifier: MIT
"""Find or build the filesystem layers that a plan's programs need, and put their labels into the plan."""

from __future__ import annotations

from dataclasses import replace

from rig.errors import UsageError
from rig.image.layer.layer import LayerImage, named_layer
from rig.image.layer.packages import package_layer
from rig.image.store import Store
from rig.scenario.plan import RenderedPlan, RenderedStep

__all__ = ["resolve_layers"]

MOST_LAYERS = 3
"""The agent searches six NVDIMMs; three of them hold root filesystem, payload and continuation."""


def resolve_layers(store: Store, plan: RenderedPlan) -> tuple[RenderedPlan, tuple[LayerImage, ...]]:
    """Return the plan with a label for each `deb:PACKAGE` and `root:IMAGE`, and the layers with these labels.

    Raises UsageError for an image that was not imported, an unknown package, and more than MOST_LAYERS layers.
    """
    wanted = [program.made_from for program in plan.programs if program.made_from]
    layers = {name: _layer(store, name) for name in dict.fromkeys(wanted)}
    if len(layers) > MOST_LAYERS:
        raise UsageError(
            f"the programs come from {len(layers)} packages and images, a guest has room for {MOST_LAYERS}",
            where=", ".join(layers),
            remedy="install several packages as one image: rig image build NAME --deb A --deb B",
        )
    if not layers:
        return plan, ()

    def labelled(step: RenderedStep) -> RenderedStep:
        words = (
            (key, layers[value].label if key == "layer" and value in layers else value) for key, value in step.words
        )
        return replace(step, words=tuple(words))

    return replace(plan, steps=tuple(labelled(step) for step in plan.steps)), tuple(layers.values())


def _layer(store: Store, name: str) -> LayerImage:
    kind, _, rest = name.partition(":")
    return package_layer(store, rest.split(",")) if kind == "deb" else named_layer(store, rest)
