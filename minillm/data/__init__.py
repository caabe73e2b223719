"""What models are trained on: token shards, and batches from them."""
