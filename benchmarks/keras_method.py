"""The Keras method that this project ports, as its script has it: an optional peer of benchmarks/features.py.

    python benchmarks/keras_method.py ROOT [--epochs 5] [--part 1]

ROOT holds train/ val/ test/ with class folders; of training and validation each epoch takes the share `--part`. One
batch is fitted before the clock starts, since building TensorFlow's graph takes no longer for more of them. Needs
tensorflow-cpu, which may be in an environment of its own. Weights are random where ImageNet's cannot be downloaded: the
time is the same, the accuracy then means nothing. The last line of the output is JSON: seconds of fitting, accuracy,
and whether the weights were ImageNet's.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

SIZE, BATCH, RATE = (180, 180), 64, 1e-4


def backbone(keras: Any) -> tuple[Any, bool]:
    """Frozen MobileNetV2, and whether it is trained."""
    shape = {"input_shape": (*SIZE, 3), "include_top": False}
    try:
        found, trained = keras.applications.MobileNetV2(weights="imagenet", **shape), True
    except Exception:  # no network
        found, trained = keras.applications.MobileNetV2(weights=None, **shape), False
    found.trainable = False
    return found, trained


def network(keras: Any, base: Any) -> Any:
    layers = keras.layers
    images = keras.Input((*SIZE, 3))
    seen = layers.RandomRotation(0.2)(layers.RandomFlip("horizontal")(images))
    features = base(keras.applications.mobilenet_v2.preprocess_input(seen), training=False)
    pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(features))
    made = keras.Model(images, layers.Dense(2, activation="softmax")(pooled))
    made.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--part", type=float, default=1.0)
    options = parser.parse_args()
    try:
        import keras
    except ModuleNotFoundError as error:
        raise SystemExit("this peer needs Keras: pip install tensorflow-cpu") from error
    read = keras.utils.image_dataset_from_directory
    sets = [read(options.root / split, image_size=SIZE, batch_size=BATCH, seed=0) for split in ("train", "val", "test")]
    fitted, judged = (each.take(max(1, round(options.part * len(each)))) for each in sets[:2])
    base, trained = backbone(keras)
    made = network(keras, base)
    stopping = keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    made.fit(fitted.take(1), validation_data=judged.take(1), verbose=0)
    started_s = time.perf_counter()
    made.fit(fitted, validation_data=judged, epochs=options.epochs, callbacks=[stopping], verbose=0)
    seconds = time.perf_counter() - started_s
    _, accuracy = made.evaluate(sets[2], verbose=0)
    print(json.dumps({"fit": seconds, "accuracy": float(accuracy), "imagenet": trained}))


if __name__ == "__main__":
    main()
