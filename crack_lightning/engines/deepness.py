"""Writes a crack map for Deepness, a plugin of QGIS: it turns tiles of one size into maps of the same size.

The metadata keys and the values of tiles are those of the plugin's source (github.com/PUTvision/qgis-plugin-deepness,
model_base.py and segmentor.py): each value is JSON; pixels are divided by 255; an output of one channel is compared
with a threshold, without softmax.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from crack_lightning.engines.onnx import to_onnx, write_model
from crack_lightning.engines.portable import CRACK_MAP, PortableMap
from crack_lightning.models.crack_map import CELL_PX

FILE = "deepness.onnx"  # name in the folder of exports
TILE_PX = 512
OVERLAP_PERCENT = 15
RESOLUTION_CM = 0.05  # size of a pixel if the scale of the training pictures is not known
METADATA = {
    "model_type": "Segmentor",
    "tile_size": TILE_PX,
    "tiles_overlap": OVERLAP_PERCENT,
    "seg_thresh": 0.5,
    "seg_small_segment": 0,  # the default of the plugin would blur hairlines away
}


class DeepnessMap(nn.Module):
    """Tiles (N, 3, 512, 512) with values 0..1 to probabilities (N, 1, 512, 512)."""

    def __init__(self, network: PortableMap) -> None:
        super().__init__()
        self.network = network

    def forward(self, tiles: Tensor) -> Tensor:
        cells, _ = self.network((tiles * 255).round().to(torch.uint8))
        pixels = functional.interpolate(cells[:, None], scale_factor=CELL_PX, mode="bilinear", align_corners=False)
        return pixels.clamp(0, 1)


def write_deepness(network: PortableMap, path: Path, *, class_names: tuple[str, str], mm_per_px: float | None) -> None:
    """Writes the network with the plugin's metadata; `class_names` are the negative class and the positive one."""
    import onnx

    sample = torch.rand(1, 3, TILE_PX, TILE_PX)
    axes = {CRACK_MAP: {0: "batch"}}
    content = to_onnx(DeepnessMap(network).eval(), sample, input_name="tiles", dynamic=axes, fixed=True)
    model = onnx.load_from_string(content)
    resolution = RESOLUTION_CM if mm_per_px is None else mm_per_px / 10
    facts = {**METADATA, "class_names": dict(enumerate(class_names)), "resolution": resolution}
    write_model(model, path, facts)
