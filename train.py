"""python train.py: train a crack classifier, reload its best checkpoint, test it.

Compose (cli/training.py), run (runs/training/classifier_training.py), write the results (runs/training/results.py).
"""

from crack_lightning.cli.training import main

if __name__ == "__main__":
    main()
