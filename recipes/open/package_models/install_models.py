"""Install trained models in the package, with 16 bits per weight.

    python recipes/open/package_models/install_models.py exp/package_models default small

Score the installed model (deepnmf evaluate --split dev --model default), not the trained one.
"""

import sys
from pathlib import Path

from deepnmf.model import load_model, save_model

PACKAGE = Path(__file__).resolve().parents[3] / "src" / "deepnmf" / "models"


def main(experiment: Path, *names: str) -> None:
    """Write the best model of each experiment."""
    for name in names:
        save_model(PACKAGE / f"{name}.safetensors", load_model(experiment / name), half=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
