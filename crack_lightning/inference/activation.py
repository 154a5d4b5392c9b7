"""What a class activation map shows of a patch, as a picture."""

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Array = np.ndarray

COLOURS = "RdBu_r"  # red speaks for a crack, blue against it
OPAQUE = 0.55


def activation(logits: Tensor, positive_index: int) -> Array:
    """From logits at each place (2, h, w) how much each speaks for the positive class, (h, w): 0 is undecided.

    The mean over all places is the log-odds of the patch before calibration (Zhou et al. 2016).
    """
    return (logits[positive_index] - logits[1 - positive_index]).numpy()


def beside(image: Image.Image, levels: Array, *, side_px: int, text: str) -> Image.Image:
    """The patch, and again with `levels` (h, w) over it, the strongest of them opaque; `text` below."""
    patch = image.resize((side_px, side_px), Image.Resampling.BILINEAR)
    scale = max(1e-6, float(np.abs(levels).max()))
    smooth = Image.fromarray((levels / scale).astype(np.float32)).resize((side_px, side_px), Image.Resampling.BICUBIC)
    strength = np.asarray(smooth).clip(-1, 1)
    colours = colormaps[COLOURS]((strength + 1) / 2)[..., :3] * 255
    alpha = (OPAQUE * np.abs(strength))[..., None]
    mixed = np.asarray(patch, np.float32) * (1 - alpha) + colours * alpha
    line = max(20, side_px // 16)
    both = Image.new("RGB", (2 * side_px + 8, side_px + line), "white")
    both.paste(patch, (0, 0))
    both.paste(Image.fromarray(np.rint(mixed).astype(np.uint8)), (side_px + 8, 0))
    font = ImageFont.load_default(max(10, line * 2 // 3))
    note = f"{text}; red speaks for it, blue against it (strongest {scale:.1f} in log-odds)"
    ImageDraw.Draw(both).text((4, side_px + 1), note, fill="black", font=font)
    return both
