"""python -m crack_lightning.explain: where in a patch the classifier sees what it says."""

import io
import logging
import sys
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from crack_lightning.cli.command import command, plain, run_folder

if TYPE_CHECKING:
    from PIL.Image import Image

    from crack_lightning.engines.maps import LogitMapper
    from crack_lightning.models.classifier import CrackClassifier

log = logging.getLogger(__name__)

SIDES_PX = range(64, 4097)


def explain(cfg: DictConfig) -> None:
    """Leave explanations/<name>.png of each patch, and explanations.csv; exit status 1 if any could not be read."""
    from crack_lightning.data.batches.loading import check_megapixels
    from crack_lightning.data.images.reading import read_image
    from crack_lightning.engines.maps import logit_mapper
    from crack_lightning.inference.patches import pick_device
    from crack_lightning.inference.sources import find_photographs, tell_left_out
    from crack_lightning.models.checkpoint import load_classifier
    from crack_lightning.system.files import is_full, write_atomically, write_csv
    from crack_lightning.system.progress import track

    options = plain(cfg)
    if options["side_px"] not in SIDES_PX:
        raise ValueError(f"side_px={options['side_px']}: {SIDES_PX[0]} to {SIDES_PX[-1]}")
    check_megapixels(options["max_megapixels"])
    classifier = load_classifier(options["ckpt_path"]).to(pick_device(options["device"]))
    source, folder = find_photographs(options["source"]), run_folder()
    tell_left_out(source)
    mapper, rows = logit_mapper(classifier, "eager"), list[list[object]]()
    for each in track(source.photographs, "explaining", total=len(source.photographs)):
        try:
            image = read_image(each.path, megapixels=options["max_megapixels"])
            picture, probability = _explained(classifier, mapper, image, options["side_px"])
            where = folder / "explanations" / f"{each.name}.png"
            write_atomically(where, _png(picture))
        except Exception as error:  # whatever it is, it is of this file; a full disk ends the run
            if is_full(error):
                raise
            log.error("%s", error if isinstance(error, ValueError) else f"{each.path}: {error}")
            rows.append([each.path, "", "", str(error)])
            continue
        rows.append([each.path, f"{probability:.6f}", where.relative_to(folder), ""])
    write_csv(folder / "explanations.csv", ["path", "probability", "explanation", "error"], rows)
    log.info("%d explanations: %s", sum(not row[3] for row in rows), folder / "explanations")
    if any(row[3] for row in rows):
        sys.exit(1)


def _png(picture: "Image") -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _explained(
    classifier: "CrackClassifier", mapper: "LogitMapper", image: "Image", side_px: int
) -> "tuple[Image, float]":
    """The patch beside itself with its class activation map over it, and the probability of a crack."""
    from crack_lightning.data.batches.transforms import plain_transform
    from crack_lightning.inference.explanation import activation, beside

    pictures = plain_transform(classifier.image_size)(image)[None]
    logits = mapper(pictures)
    decision = classifier.decision
    probability = classifier.positive_probabilities(logits.mean(dim=(2, 3)))[0].item()
    text = f"{decision.positive_class} {probability:.1%}"
    return beside(image, activation(logits[0], decision.positive_index), side_px=side_px, text=text), probability


def main() -> None:
    command(explain, config_name="explain", needs="torchvision")


if __name__ == "__main__":
    main()
