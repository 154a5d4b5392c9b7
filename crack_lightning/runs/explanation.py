"""Where in patches a classifier sees what it says, as pictures."""

import io
import logging
from pathlib import Path

from PIL import Image

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.engines.maps import LogitMapper, logit_mapper
from crack_lightning.inference.explanation import activation, beside
from crack_lightning.inference.patches import pick_device
from crack_lightning.inference.sources import find_photographs, tell_left_out
from crack_lightning.models.checkpoint import load_classifier
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.runs.options import ExplainOptions
from crack_lightning.system.files import is_full, write_atomically, write_csv
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)


def explain_patches(options: ExplainOptions, folder: Path) -> int:
    """Write explanations/<name>.png of each patch, and explanations.csv, into `folder`; how many failed.

    Raises UserError or OSError where there is nothing to explain, or nothing to explain with.
    """
    classifier = load_classifier(options.ckpt_path).to(pick_device(options.device))
    source = find_photographs(options.source)
    tell_left_out(source)
    mapper, rows = logit_mapper(classifier, "eager"), list[list[object]]()
    for photograph in track(source.photographs, "explaining", total=len(source.photographs)):
        where = folder / "explanations" / f"{photograph.name}.png"
        try:
            image = read_image(photograph.path, megapixels=options.max_megapixels)
            picture, probability = _explained(classifier, mapper, image, options.side_px)
            write_atomically(where, _png(picture))
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


def _explained(
    classifier: CrackClassifier, mapper: LogitMapper, image: Image.Image, side_px: int
) -> tuple[Image.Image, float]:
    """The patch beside itself with its class activation map over it, and the probability of a crack."""
    logits, decision = mapper(plain_transform(classifier.image_size)(image)[None]), classifier.decision
    probability = classifier.positive_probabilities(logits.mean(dim=(2, 3)))[0].item()
    text = f"{decision.positive_class} {probability:.1%}"
    return beside(image, activation(logits[0], decision.positive_index), side_px=side_px, text=text), probability
