"""A decoder-only Transformer: tokens in, a distribution over the next token out at every position; and its gradient.

    x      = embedding[tokens] (+ positions)           one vector for each token
    x      = block(x), once a layer                    pre-norm: x ← x + attend(norm x), x ← x + feed(norm x)
    n      = final norm of x                           (post-norm blocks end with their own)
    logits = n · outputᵀ                               the output matrix may be the embedding itself ("tied")
    loss   = mean cross-entropy of logits and targets

Backward goes through the same lines in reverse. A tied matrix was used at both ends, so it collects gradients from both.
"""

import copy
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import gpu, updates
from ..arrays import Float, Int, bfloat16, in_turn, place
from ..ops import REFERENCE, Ops
from .block import block
from .branches import Branches, Context
from .config import Config
from .inputs import refuse_bad_batch
from .parameters import Parameters, initialise
from .precision import refuse_old_gpu

EMBEDDING_DROPOUT = 0       # its site number; those of the blocks are 1 and 2


class Cache(NamedTuple):
    """What backward needs, by name of the part: "embedding", "positions", "dropout", "layers.0" (of each block its cache, or with
    recompute only its input), "final_norm", "loss"."""

    parts: dict
    params: Parameters      # what forward computed with: the model's own, or their 16-bit copy
    context: Context
    recompute: bool
    nll: Any                # the plain loss, without label smoothing and z-loss


class Transformer:
    """
    model = Transformer(Config.preset("llama-nano"), seed=0)
    logits = model(tokens)                                     (b, t) ints → (b, t, v)
    loss, grads = model.loss_and_grads(tokens, targets)        grads: a mapping with the names of model.params

    seed      of the initialisation; None leaves every parameter zero, for weights that come from elsewhere
    dtype     what it computes in. Parameters are float32 masters of a 16-bit model, else of the same dtype
    device    "cpu", or "cuda" with CuPy. Batches may be NumPy's in either case: a GPU's model carries them over
    ops       the table of operations that it runs on: by default ops.REFERENCE, and on a GPU kernels.CUDA
    """

    def __init__(self, config: Config, seed: int | None = 0, dtype: Any = "float32", device: str = "cpu", ops: Ops | None = None):
        self.config, self.dtype, self.device = config, _dtype(dtype), device
        self.xp = array_module(device)
        if device == "cuda" and self.dtype == bfloat16:
            refuse_old_gpu("bf16")
        self.params = Parameters(config.shapes(), "float32" if self.dtype.itemsize == 2 else self.dtype, self.xp)
        if seed is not None:
            initialise(self.params, config, seed)
        self._run_on(usual_ops(device) if ops is None else ops)

    def with_ops(self, ops: Ops) -> "Transformer":
        """The same model, with the very same parameters, on another table."""
        other = copy.copy(self)
        other._run_on(ops)
        return other

    def _run_on(self, ops: Ops) -> None:
        self.ops = ops
        self.blocks = [block(self.config, ops, i) for i in range(self.config.num_layers)]
        self.norm = ops.rmsnorm if self.config.norm == "rmsnorm" else ops.layernorm

    # --- what people call ---

    def __call__(self, tokens: Int[Any, "b t"], documents: Int[Any, "b t"] | None = None) -> Float[Any, "b t v"]:
        """The logits of the next token after every position."""
        tokens, _, documents = self.received(tokens, None, documents)
        params = self.computing_params()
        n, _ = self.read(tokens, params, Context(documents), keep="nothing")
        with place("output"):
            return self.ops.linear.forward(n, self.output_matrix(params).T)[0]

    def forward(self, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], denominator: Any = None, dropout_key: int | None = None,
                documents: Int[Any, "b t"] | None = None, first_row: int = 0, recompute: bool = False, gradients: bool = True,
                label_smoothing: float = 0.0, z_loss: float = 0.0) -> tuple[float, Cache]:
        """(loss, cache). The loss is the mean over all targets that aren't -100, or their sum divided by `denominator`.

        dropout_key    an integer, another one each step; None for no dropout
        documents      the document number of each token: no attention across documents
        first_row      for a slice of a batch: the number of its first row in the whole batch
        recompute      keep only each block's input, and compute the rest again in backward: same gradients, less memory
        gradients      False where no backward will follow: then nothing is kept
        """
        loss, cache = self.loss_of(*self.received(tokens, targets, documents), self.computing_params(), denominator, dropout_key, first_row,
                                   recompute, gradients, label_smoothing, z_loss)
        return float(loss), cache

    def loss_of(self, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], documents: Int[Any, "b t"] | None, params: Parameters,
                denominator: Any = None, dropout_key: Any = None, first_row: Any = 0, recompute: bool = False, gradients: bool = True,
                label_smoothing: float = 0.0, z_loss: float = 0.0) -> tuple[Float[Any, ""], Cache]:
        """forward for who keeps the parameters in the dtype that the model computes in, and a batch beside them. The loss is an array: on a
        GPU nobody waits for it. denominator, dropout_key, first_row: numbers, or arrays of one number on the GPU, read there when it is
        their turn."""
        context = Context(documents, dropout_key, first_row)
        n, parts = self.read(tokens, params, context, "nothing" if not gradients else "inputs" if recompute else "all")
        with place("loss"):
            (loss, nll), parts["loss"] = self.ops.linear_cross_entropy.forward(
                n, self.output_matrix(params), targets, label_smoothing=label_smoothing, z_loss=z_loss, denominator=denominator,
                gradients=gradients)
        return loss, Cache(parts, params, context, recompute, nll)

    def backward(self, cache: Cache, into: Parameters | None = None) -> Parameters:
        """The gradient of the loss for every parameter; added to `into` if that is given."""
        grads = self.params.zeros() if into is None else into
        parts, params = cache.parts, cache.params
        with place("loss"), in_turn(self.output_matrix(grads)):
            dx, _ = self.ops.linear_cross_entropy.backward(1.0, parts["loss"], into=self.output_matrix(grads))
        if self.config.norm_position == "pre":
            with place("final_norm"):
                dx, *dweights = self.norm.backward(dx, parts["final_norm"])
                Branches.collect("final_norm", dweights, grads)
        for i in reversed(range(self.config.num_layers)):
            with place(f"layers.{i}"):
                kept = parts[f"layers.{i}"]
                if cache.recompute:
                    with place("recompute"):
                        _, kept = self.blocks[i].forward(kept, params.layers[i], cache.context)
                dx = self.blocks[i].backward(dx, kept, grads.layers[i])
        self.embed_backward(dx, parts, grads)
        return grads

    def loss_and_grads(self, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], into: Parameters | None = None, **options: Any
                       ) -> tuple[float, Parameters]:
        """forward and backward; the options are forward's."""
        loss, cache = self.forward(tokens, targets, **options)
        return loss, self.backward(cache, into)

    def nats(self, tokens: Int[Any, "b t"], targets: Int[Any, "b t"]) -> Float[np.ndarray, "b"]:
        """−log p of each text's targets, summed over the text: what evaluation asks. Only one text's logits exist at once."""
        tokens, targets, _ = self.received(tokens, targets)
        params = self.computing_params()
        n, _ = self.read(tokens, params, Context(), keep="nothing")
        with place("loss"):
            texts = [self.ops.linear_cross_entropy.forward(x, self.output_matrix(params), target, denominator=1.0, gradients=False)
                     for x, target in zip(n, targets, strict=True)]
        return np.array([float(nll) for (_, nll), _ in texts])

    # --- its parts ---

    def read(self, tokens: Int[Any, "b t"], params: Parameters, context: Context, keep: Literal["all", "inputs", "nothing"]
             ) -> tuple[Float[Any, "b t d"], dict]:
        """All but the output matrix: a vector for each token, and what backward needs of each part. `keep`: all of it, only the
        input of each block, so that the rest can be computed again, or nothing."""
        x, parts = self.embed(tokens, params, context)
        for i in range(self.config.num_layers):
            with place(f"layers.{i}"):
                before = x
                x, cache = self.blocks[i].forward(x, params.layers[i], context)
            if keep != "nothing":
                parts[f"layers.{i}"] = cache if keep == "all" else before
            del cache                               # or it would still be there while the next block runs
        if self.config.norm_position == "pre":
            with place("final_norm"):
                x, parts["final_norm"] = self.norm.forward(x, *Branches.weights("final_norm", params), eps=self.config.norm_eps)
        return x, {} if keep == "nothing" else parts

    def embed(self, tokens: Int[Any, "b t"], params: Parameters, context: Context) -> tuple[Float[Any, "b t d"], dict]:
        config, parts = self.config, {}
        with place("embedding"):
            x, parts["embedding"] = self.ops.embedding.forward(tokens, params["embedding.weight"])
            if config.positions == "learned":
                x, parts["positions"] = self.ops.learned_positions.forward(x, params["positions.weight"], context.positions)
            elif config.positions == "sinusoidal":
                x, parts["positions"] = self.ops.sinusoidal.forward(x, context.positions)
            if config.dropout and context.dropout_key is not None:
                start = context.first_row * prod(x.shape[1:])
                x, parts["dropout"] = self.ops.dropout.forward(x, config.dropout, context.dropout_key, 0, EMBEDDING_DROPOUT, start)
        return x, parts

    def embed_backward(self, dx: Float[Any, "b t d"], parts: dict, grads: Parameters) -> None:
        with place("embedding"):
            if "dropout" in parts:
                (dx,) = self.ops.dropout.backward(dx, parts["dropout"])
            if self.config.positions == "learned":
                with in_turn(grads["positions.weight"]):
                    dx, _ = self.ops.learned_positions.backward(dx, parts["positions"], into=grads["positions.weight"])
            elif self.config.positions == "sinusoidal":
                (dx,) = self.ops.sinusoidal.backward(dx, parts["positions"])
            with in_turn(grads["embedding.weight"]):
                self.ops.embedding.backward(dx, parts["embedding"], into=grads["embedding.weight"])

    def output_matrix(self, params: Parameters) -> Float[Any, "v d"]:
        return params["embedding.weight" if self.config.tied else "output.weight"]

    def computing_params(self) -> Parameters:
        """The parameters in the dtype that the model computes in: the masters themselves, or a 16-bit copy of them."""
        if self.dtype.itemsize != 2:
            return self.params
        narrow = self.params.zeros(self.dtype)
        updates.of(self.ops).cast(self.params.flat, narrow.flat)
        return narrow

    def received(self, *batch: Int[Any, "b t"] | None) -> list:
        """Tokens, targets and documents where the model computes; a sentence if they can't be read."""
        self.refuse(*batch)
        return [self.xp.asarray(x) if isinstance(x, np.ndarray) else x for x in (*batch, None)[:3]]

    def refuse(self, tokens: Int[Any, "b t"], targets: Int[Any, "b t"] | None = None, documents: Int[Any, "b t"] | None = None) -> None:
        """Raises a sentence for a batch that can't be read."""
        refuse_bad_batch(self.config.vocab_size, tokens, targets, documents)
        if self.config.positions == "learned" and tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(f"The texts have {tokens.shape[1]} tokens, but the model's learned positions end at "
                             f"max_seq_len = {self.config.max_seq_len}.")


def _dtype(name: Any) -> np.dtype:
    import ml_dtypes  # noqa: F401   after this, NumPy knows the name "bfloat16"
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = None
    if dtype not in ("float64", "float32", "float16", "bfloat16"):
        raise ValueError(f"A model computes in float64, float32, float16 or bfloat16, not in {name!r}.")
    return dtype


def usual_ops(device: str) -> Ops:
    if device == "cpu":
        return REFERENCE
    from ..kernels import CUDA
    return CUDA


def array_module(device: str) -> Any:
    """NumPy or CuPy; a sentence where there is no GPU to be had."""
    if device == "cpu":
        return np
    if device == "cuda":
        return gpu.array_module()
    raise ValueError(f'The device is "cpu" or "cuda", not {device!r}.')
