"""What models are trained on: corpora, token shards, and batches from them."""

from .corpora import corpus

__all__ = ["corpus"]
