"""What models are trained on: corpora, token shards, and batches from them."""
