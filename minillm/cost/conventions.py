"""What people mean by "FLOPs": the choices, and the sets of choices that have a name.

A multiply-add is always 2. The choices are

    weights      products: each matrix costs 2 FLOPs a number in every product that it enters (forward, dX, dW);
                 or 6 for each of N parameters, N being all | non-embedding | matrices | all but positions
    embedding    lookup: no arithmetic; one-hot: as if a row of zeros and a one were multiplied with the table
    head         whether the output matrix (the logits, and the loss) counts
    attention    none; causal: the pairs of query and key that see each other, t(t + 1)/2 of t² (fewer with a window);
                 half: t²/2; full: t²; executed: the whole blocks that our attention computes, scores made twice
    elementwise  none; softmax: 3 for each pair of query and key; all: norms, activations, softmax, additions and the optimizer
    backward     exact: as the operations claim; twice: dX and dW each cost what forward did
    recompute    whether each block's forward runs once more in backward, to save memory
"""

from dataclasses import dataclass, fields, replace
from math import prod
from typing import Literal, get_args

from ..model.config import Config


@dataclass(frozen=True)
class Convention:
    """What is counted; see above. The defaults are "exact": every matrix product that the mathematics needs, and nothing else."""

    weights: Literal["products", "all", "non-embedding", "matrices", "all but positions"] = "products"
    embedding: Literal["lookup", "one-hot"] = "lookup"
    head: bool = True
    attention: Literal["none", "causal", "half", "full", "executed"] = "causal"
    elementwise: Literal["none", "softmax", "all"] = "none"
    backward: Literal["exact", "twice"] = "exact"
    recompute: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            choices = get_args(field.type) or (True, False)
            if getattr(self, field.name) not in choices:
                raise ValueError(f"{field.name} must be one of {', '.join(map(str, choices))}, not {getattr(self, field.name)!r}.")
        if self.weights != "products" and replace(self, weights="products", attention="causal", recompute=False) != Convention():
            raise ValueError(f'With weights = "{self.weights}" every parameter counts 6 FLOPs a token; embedding, head, elementwise and backward '
                             'can\'t be chosen then. Choose another N, or weights = "products".')

    def words(self) -> list[str]:
        """The choices, a line each."""
        if self.weights != "products":
            weights = [f"weights: 6 FLOPs a token for each of N parameters; N: {self.weights}"]
        else:
            head = "counted" if self.head else "left out"
            weights = ["weights: 2 FLOPs a number in every product, forward, dX and dW", f"embedding: {self.embedding}",
                       f"output matrix: {head}", f"elementwise work and optimizer: {self.elementwise}", f"backward: {self.backward}"]
        return [*weights, f"attention: {self.attention}", f"recompute: {'a second forward of each block' if self.recompute else 'no'}"]


CONVENTIONS = {
    "exact": Convention(),
    "6nd": Convention(weights="all", attention="none"),
    "kaplan": Convention(head=False, attention="half", backward="twice"),        # Kaplan et al. 2020, table 1
    "chinchilla": Convention(head=False, attention="full", elementwise="softmax", backward="twice"),     # as table A4 was made
    "palm": Convention(weights="all", attention="full"),                         # Chowdhery et al. 2022, appendix B
    "megatron": Convention(attention="full", recompute=True),                    # Narayanan et al. 2021
    "nanogpt": Convention(weights="all but positions", attention="full"),        # estimate_mfu
    "llmc": Convention(weights="all", attention="half"),                         # llm.c
}


def num_parameters(config: Config, meaning: str = "all") -> int:
    """N, in its several meanings: all; "all but positions" (nanoGPT's); "non-embedding": neither embedding, positions nor an output matrix
    of its own (Kaplan's); "matrices": what is multiplied with every token, so the blocks' matrices and the output matrix, tied or not."""
    parts = config.parameters_by_part()
    everything, word_table = sum(parts.values()), config.vocab_size * config.d_model
    if meaning == "all but positions":
        return everything - (parts["embeddings"] - word_table)
    if meaning == "non-embedding":
        return everything - parts["embeddings"] - parts["head"]
    if meaning == "matrices":
        return word_table + parameters_of_blocks(config, meaning)
    return everything


def parameters_of_blocks(config: Config, meaning: str = "all") -> int:
    """Those of N that are in the blocks."""
    return config.num_layers * sum(prod(shape) for shape in config.layer_shapes().values() if len(shape) == 2 or meaning != "matrices")
