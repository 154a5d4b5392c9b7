"""Draws where in a patch a network sees signs of a crack, and where signs against one."""

import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.engines.maps import logit_mapper
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patch_scores import patch_map
from crack_lightning.inference.patches import pick_device
from crack_lightning.inference.sources import find_photographs, log_left_out
from crack_lightning.models.crack_map import CrackMap, Network
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs.judging.options import ExplainOptions
from crack_lightning.system.files import is_full, write_atomically, write_csv
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

Array = np.ndarray

Explainer = Callable[[Image.Image], tuple[Array, float]]  # from a patch to its map (h, w) and probability

COLOUR_MAP = "RdBu_r"  # red speaks for a crack, blue against it
MAX_OPACITY = 0.55  # opacity of the strongest colour


def explain_patches(options: ExplainOptions, folder: Path) -> int:
    """Writes explanations/<name>.png for each patch, and explanations.csv, into `folder`; returns how many failed.

    Raises UserError or OSError if there are no patches, or if the checkpoint cannot be loaded.
    """
    network = load_network(options.ckpt_path).to(pick_device(options.device))
    source = find_photographs(options.source)
    log_left_out(source)
    explain, rows, positive = _make_explainer(network), list[list[object]](), network.decision.positive_class
    for photograph in track(source.photographs, "explaining", total=len(source.photographs)):
        picture_path = folder / "explanations" / f"{photograph.name}.png"
        try:
            image = read_image(photograph.path, megapixels=options.max_megapixels)
            levels, probability = explain(image)
            text = f"{positive} {probability:.1%}"
            write_atomically(picture_path, _png(explanation_picture(image, levels, side_px=options.side_px, text=text)))
        except Exception as error:  # a full disk ends the run, any other error concerns this file alone
            if is_full(error):
                raise
            log.error("%s", error if isinstance(error, ValueError) else f"{photograph.path}: {error}")
            rows.append([photograph.path, "", "", str(error)])
            continue
        rows.append([photograph.path, f"{probability:.6f}", picture_path.relative_to(folder), ""])
    write_csv(folder / "explanations.csv", ["path", "probability", "explanation", "error"], rows)
    failed = sum(bool(row[3]) for row in rows)
    log.info("%d explanations: %s", len(rows) - failed, folder / "explanations")
    return failed


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _make_explainer(network: Network) -> Explainer:
    """Returns a function from a patch to its map and the probability of a crack.

    It is a class activation map for a classifier, and a crack map for a crack map.
    """
    if isinstance(network, CrackMap):
        reader = CrackMapReader(network, engine="eager", patches=True)
        return lambda image: patch_map(reader, image)
    mapper, transform = logit_mapper(network, "eager"), plain_transform(network.image_size)

    def explain(image: Image.Image) -> tuple[Array, float]:
        logits = mapper(transform(image)[None])
        probability = network.positive_probabilities(logits.mean(dim=(2, 3)))[0].item()
        return activation_map(logits[0], network.decision.positive_index), probability

    return explain


def activation_map(logits: Tensor, positive_index: int) -> Array:
    """Returns the log-odds (h, w) of the positive class at each position, from logits (2, h, w): 0 is undecided.

    Their mean is the log-odds of the patch before calibration (Zhou et al. 2016).
    """
    return (logits[positive_index] - logits[1 - positive_index]).numpy()


def explanation_picture(image: Image.Image, levels: Array, *, side_px: int, text: str) -> Image.Image:
    """Returns the patch beside a copy with `levels` (h, w) in colour, the strongest most opaque; `text` is below."""
    patch = image.resize((side_px, side_px), Image.Resampling.BILINEAR)
    scale = max(1e-6, float(np.abs(levels).max()))
    smooth = Image.fromarray((levels / scale).astype(np.float32)).resize((side_px, side_px), Image.Resampling.BICUBIC)
    strength = np.asarray(smooth).clip(-1, 1)
    colours = colormaps[COLOUR_MAP]((strength + 1) / 2)[..., :3] * 255
    alpha = (MAX_OPACITY * np.abs(strength))[..., None]
    mixed = np.asarray(patch, np.float32) * (1 - alpha) + colours * alpha
    line = max(20, side_px // 16)
    sheet = Image.new("RGB", (2 * side_px + 8, side_px + line), "white")
    sheet.paste(patch, (0, 0))
    sheet.paste(Image.fromarray(np.rint(mixed).astype(np.uint8)), (side_px + 8, 0))
    font = ImageFont.load_default(max(10, line * 2 // 3))
    note = f"{text}; red speaks for it, blue against it (strongest {scale:.1f} in log-odds)"
    ImageDraw.Draw(sheet).text((4, side_px + 1), note, fill="black", font=font)
    return sheet
