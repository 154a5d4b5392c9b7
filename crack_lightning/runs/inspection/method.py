"""Describes in a report how it was made."""

from datetime import datetime

from crack_lightning import __version__
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import Network, is_map
from crack_lightning.models.decision import Decision
from crack_lightning.runs.inspection.options import InspectOptions


def unscaled(classifier: Network, options: InspectOptions) -> bool:
    """Returns whether mm_per_px is given but cannot set the window size, because the checkpoint does not know its
    training scale."""
    knows_scale = is_map(classifier) or classifier.mm_per_px is not None
    return options.mm_per_px is not None and not knows_scale and options.tile_px is None


def method_of(options: InspectOptions, classifier: Network, decision: Decision, scale: WindowScale) -> dict[str, str]:
    """Returns source, time, checkpoint, network, threshold, window size, scale and version, each under its name."""
    mm_per_px, scales, side_px = options.mm_per_px, options.scales, scale.window_px
    side = f"{side_px:.0f} px" + ("" if mm_per_px is None else f", {side_px * mm_per_px:.0f} mm")
    factors = "" if scales == [1.0] else f", times {', '.join(f'{factor:g}' for factor in scales)}"
    training = ", the scale of the training pictures is not known" if unscaled(classifier, options) else ""
    if scale.zoom != 1:
        training = f", mapped at {scale.zoom:.3g} times its size, the scale that the map was trained at"
    return {
        "source": options.source,
        "inspected": f"{datetime.now():%Y-%m-%d %H:%M}",
        "checkpoint": options.ckpt_path or "none: the crack map of the package, trained on synthetic cracks",
        "network": classifier.backbone,
        "threshold": f"{decision.threshold:.3f}",
        ("tile" if is_map(classifier) else "window"): side + factors,
        "scale": _scale(options) + training,
        "crack_lightning": __version__,
    }


def _scale(options: InspectOptions) -> str:
    sources = [] if options.mm_per_px is None else [f"{options.mm_per_px:g} mm a pixel"]
    if options.scale is not None:
        sources.append(options.scale + ("" if options.marker_mm is None else f" of {options.marker_mm:g} mm"))
    if options.distance_m is not None:
        sources.append(f"distance of {options.distance_m:g} m")
    return ", ".join(sources) or "not known"
