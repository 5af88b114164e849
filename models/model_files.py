"""The files of a model folder, and the error of one that cannot be used."""

from typing import Final

MODEL_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "weights.npz"
ONNX_FILE: Final = "model.onnx"
CARD_FILE: Final = "card.md"


class ModelError(ValueError):
    """A model folder that cannot be used; the message names the file and the reason."""
