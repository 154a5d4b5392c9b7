"""Where in patches a network sees what it says, as pictures."""

import io
import logging
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.engines.maps import logit_mapper
from crack_lightning.inference.activation import Array, activation, beside
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patch_scores import patch_map
from crack_lightning.inference.patches import pick_device
from crack_lightning.inference.sources import find_photographs, tell_left_out
from crack_lightning.models.crack_map import CrackMap, Network
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs.judging.options import ExplainOptions
from crack_lightning.system.files import is_full, write_atomically, write_csv
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

Explainer = Callable[[Image.Image], tuple[Array, float]]


def explain_patches(options: ExplainOptions, folder: Path) -> int:
    """Write explanations/<name>.png of each patch, and explanations.csv, into `folder`; how many failed.

    Raises UserError or OSError where there is nothing to explain, or nothing to explain with.
    """
    network = load_network(options.ckpt_path).to(pick_device(options.device))
    source = find_photographs(options.source)
    tell_left_out(source)
    explained, rows, positive = _explainer(network), list[list[object]](), network.decision.positive_class
    for photograph in track(source.photographs, "explaining", total=len(source.photographs)):
        where = folder / "explanations" / f"{photograph.name}.png"
        try:
            image = read_image(photograph.path, megapixels=options.max_megapixels)
            levels, probability = explained(image)
            text = f"{positive} {probability:.1%}"
            write_atomically(where, _png(beside(image, levels, side_px=options.side_px, text=text)))
        except Exception as error:  # whatever it is, it is of this file; a full disk ends the run
            if is_full(error):
                raise
            log.error("%s", error if isinstance(error, ValueError) else f"{photograph.path}: {error}")
            rows.append([photograph.path, "", "", str(error)])
            continue
        rows.append([photograph.path, f"{probability:.6f}", where.relative_to(folder), ""])
    write_csv(folder / "explanations.csv", ["path", "probability", "explanation", "error"], rows)
    failed = sum(bool(row[3]) for row in rows)
    log.info("%d explanations: %s", len(rows) - failed, folder / "explanations")
    return failed


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _explainer(network: Network) -> Explainer:
    """What is laid over a patch, and the probability of a crack: the class activation map, or the crack map itself."""
    if isinstance(network, CrackMap):
        reader = CrackMapReader(network, engine="eager", patches=True)
        return lambda image: patch_map(reader, image)
    mapper, transform = logit_mapper(network, "eager"), plain_transform(network.image_size)

    def explained(image: Image.Image) -> tuple[Array, float]:
        logits = mapper(transform(image)[None])
        probability = network.positive_probabilities(logits.mean(dim=(2, 3)))[0].item()
        return activation(logits[0], network.decision.positive_index), probability

    return explained
