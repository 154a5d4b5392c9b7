"""What a report says of how it came about."""

from datetime import datetime

from crack_lightning import __version__
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import Network, is_map
from crack_lightning.models.decision import Decision
from crack_lightning.runs.inspection.options import InspectOptions


def unscaled(classifier: Network, options: InspectOptions) -> bool:
    """Whether photographs of a known scale are looked at as they are, since the checkpoint does not know its own."""
    known = is_map(classifier) or classifier.mm_per_px is not None
    return options.mm_per_px is not None and not known and options.tile_px is None


def method_of(options: InspectOptions, classifier: Network, decision: Decision, scale: WindowScale) -> dict[str, str]:
    """By name: source, time, checkpoint, network, threshold, size of a window, scale."""
    mm_per_px, scales, side_px = options.mm_per_px, options.scales, scale.window_px
    side = f"{side_px:.0f} px" + ("" if mm_per_px is None else f", {side_px * mm_per_px:.0f} mm")
    wider = "" if scales == [1.0] else f", times {', '.join(f'{factor:g}' for factor in scales)}"
    as_trained = ", that of the training pictures is not known" if unscaled(classifier, options) else ""
    if scale.zoom != 1:
        as_trained = f", looked at at {scale.zoom:.3g} times its size, as the map was trained"
    return {
        "source": options.source,
        "inspected": f"{datetime.now():%Y-%m-%d %H:%M}",
        "checkpoint": options.ckpt_path or "none: the crack map of the package, trained on drawn cracks",
        "network": classifier.backbone,
        "threshold": f"{decision.threshold:.3f}",
        ("tile" if is_map(classifier) else "window"): side + wider,
        "scale": _scale(options) + as_trained,
        "crack_lightning": __version__,
    }


def _scale(options: InspectOptions) -> str:
    found = [] if options.mm_per_px is None else [f"{options.mm_per_px:g} mm a pixel"]
    if options.scale is not None:
        found.append(options.scale + ("" if options.marker_mm is None else f" of {options.marker_mm:g} mm"))
    if options.distance_m is not None:
        found.append(f"distance of {options.distance_m:g} m")
    return ", ".join(found) or "not known"
