"""The models: every decoder from the bigram to Llama 3."""

from .bigram import Bigram
from .config import Config
from .parameters import Parameters
from .transformer import Transformer
from .weights import load, save

__all__ = ["Bigram", "Config", "Parameters", "Transformer", "load", "save"]
