"""What is asked of a model's parameters and FLOPs, and what goes wrong."""

from .exercise import Check, call, mistake


def parameters(v: int, d: int, layers: int, h: int, k: int, e: int, f: int, tied: bool = False) -> int:
    """How many numbers are trained in a Llama of this shape. `tied`: the output matrix is the embedding."""
    attention = d * h * e + 2 * d * k * e + h * e * d
    feed_forward = 3 * d * f
    norms = 2 * d
    return layers * (attention + feed_forward + norms) + d + v * d * (1 if tied else 2)


def forward_flops(v: int, d: int, layers: int, h: int, k: int, e: int, f: int, t: int) -> int:
    """FLOPs of the matrix products in the forward pass of one text of t tokens, with causal attention and the logits of all positions."""
    weights = layers * (d * h * e + 2 * d * k * e + h * e * d + 3 * d * f) + v * d
    pairs = t * (t + 1) // 2                     # of a query and a key that it may see
    return 2 * weights * t + layers * 2 * (2 * h * e * pairs)


def training_flops(v: int, d: int, layers: int, h: int, k: int, e: int, f: int, t: int) -> int:
    """The same of a training step: forward, and two products backward for each one forward."""
    return 3 * forward_flops(v, d, layers, h, k, e, f, t)


def six_nd(n: int, tokens: int) -> int:
    """The rule of thumb for the training of n parameters on so many tokens."""
    return 6 * n * tokens


FUNCTIONS = {"parameters": parameters, "forward_flops": forward_flops, "training_flops": training_flops, "six_nd": six_nd}


def shape(rng, grouped=True, layers=None):
    """Small odd sizes, all different; the heads side by side are not as wide as the model."""
    k, e, d, f, v = int(rng.integers(2, 5)), 2 * int(rng.integers(2, 6)), int(rng.integers(30, 50)), int(rng.integers(70,
        99)), int(rng.integers(200, 400))
    return dict(v=v, d=d, layers=layers or int(rng.integers(3, 8)), h=k * int(rng.integers(2, 4)) if grouped else k, k=k, e=e, f=f)


LLAMA3_8B = dict(v=128_256, d=4096, layers=32, h=32, k=8, e=128, f=14_336)


def counts(rng):
    yield call("parameters", **shape(rng, grouped=False, layers=1))
    yield call("parameters", **shape(rng))


def published(rng):
    """One key head for all, and the shape of Llama 3 8B."""
    yield call("parameters", **{**shape(rng), "k": 1})
    yield call("parameters", **LLAMA3_8B)


def tied(rng):
    for _ in range(2):
        yield call("parameters", **shape(rng), options={"tied": True})


def forwards(rng):
    for t in (1, 7, 40):
        yield call("forward_flops", **shape(rng, grouped=t > 1), t=t)
    yield call("forward_flops", **LLAMA3_8B, t=8192)


def trainings(rng):
    for t in (1, 9, 32):
        yield call("training_flops", **shape(rng), t=t)
    yield call("training_flops", **LLAMA3_8B, t=4096)


def rule(rng):
    yield call("six_nd", n=int(rng.integers(1e6, 1e8)), tokens=int(rng.integers(1e8, 1e9)))
    yield call("six_nd", n=124_439_808, tokens=2_500_000_000)


CHECKS = [
    Check("parameters", "every number that is trained is counted once", counts),
    Check("published", "a model that shares one key head, and Llama 3 8B, come out right", published, after=("parameters",)),
    Check("tied", "a tied output matrix is not counted twice", tied, after=("published",)),
    Check("forward", "forward_flops counts two for each multiply-add", forwards),
    Check("training", "training_flops counts backward, too", trainings),
    Check("six_nd", "C ≈ 6ND", rule),
]

ATTENTION = "attention = d * h * e + 2 * d * k * e + h * e * d"
WEIGHTS = "weights = layers * (d * h * e + 2 * d * k * e + h * e * d + 3 * d * f) + v * d"
PAIRS = "pairs = t * (t + 1) // 2"
LAST = "+ d + v * d * (1 if tied else 2)"
FORWARD = "2 * weights * t + layers * 2 * (2 * h * e * pairs)"
TRAIN = "3 * forward_flops(v, d, layers, h, k, e, f, t)"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("keys and values of every query head", "With fewer key heads, W_k and W_v have fewer columns: how many?",
     (ATTENTION, ATTENTION.replace("d * k * e", "d * h * e")), (WEIGHTS, WEIGHTS.replace("d * k * e", "d * h * e"))),
    ("four d × d matrices", "The heads side by side need not be as wide as the model: W_q is d × h·e.",
     (ATTENTION, "attention = 4 * d * d"), (WEIGHTS, WEIGHTS.replace("d * h * e + 2 * d * k * e + h * e * d", "4 * d * d"))),
    ("output projection forgotten", "After attention the heads go back to the width of the model: there is a fourth matrix.",
     (ATTENTION, "attention = d * h * e + 2 * d * k * e"), (WEIGHTS, WEIGHTS.replace(" + h * e * d", ""))),
    ("keys, but no values", "Keys and values each have a matrix.",
     (ATTENTION, ATTENTION.replace("2 * d * k", "d * k")), (WEIGHTS, WEIGHTS.replace("2 * d * k", "d * k"))),
    ("two matrices in the feed-forward layer", "SwiGLU has three matrices: gate, up and down.",
     ("feed_forward = 3 *", "feed_forward = 2 *"), (WEIGHTS, WEIGHTS.replace("3 *", "2 *"))),
    ("GPT's feed-forward layer", "The width of this feed-forward layer is f, and it has three matrices.",
     ("feed_forward = 3 * d * f", "feed_forward = 8 * d * d"),
     (WEIGHTS, WEIGHTS.replace("3 * d * f", "8 * d * d"))),
    ("norms forgotten", "Each norm has a scale for every channel. How many norms are there?",
     ("norms = 2 * d", "norms = 0"), (LAST, LAST.replace("+ d + v", "+ v"))),
    ("one norm a block", "A block has a norm before each of its two branches.", ("norms = 2 * d", "norms = d")),
    ("final norm forgotten", "After the last block there is one more norm.", (LAST, LAST.replace("+ d + v", "+ v"))),
    ("biases counted", "This model has no biases.", ("norms = 2 * d", "norms = 2 * d + h * e + 2 * k * e + d + 2 * f + d")),
    ("norms with a bias", "RMSNorm has a scale, and no bias.", ("norms = 2 * d", "norms = 4 * d"), (LAST, LAST.replace("+ d + v", "+ 2 * d + v"))),
    ("output matrix forgotten", "Untied, the output matrix is another v × d beside the embedding.", (LAST, LAST.replace("(1 if tied else 2)", "1"))),
    ("tied matrix counted twice", "A tied output matrix is the embedding: it is trained once.", (LAST, LAST.replace("(1 if tied else 2)", "2"))),
    ("embedding forgotten", "The table of embeddings is trained, too.", (LAST, LAST.replace("(1 if tied else 2)", "(0 if tied else 1)"))),
    ("one layer only", "There are `layers` blocks.",
     ("return layers * (attention", "return (attention"), (WEIGHTS, WEIGHTS.replace("layers * ", "")), (FORWARD, FORWARD.replace("layers * ", ""))),
    ("a multiply-add counted once", "A multiplication and an addition are two operations.", (FORWARD, f"({FORWARD}) // 2")),
    ("attention's own products forgotten", "Q Kᵀ and P V are matrix products, too, without any weights.", (FORWARD, "2 * weights * t")),
    ("only one of attention's two products", "First Q Kᵀ, then P V: two products over all pairs.",
     (FORWARD, FORWARD.replace("layers * 2 * (", "layers * ("))),
    ("causal mask ignored", "Query i sees i + 1 keys, not t. How many pairs are that?", (PAIRS, "pairs = t * t")),
    ("half of t²", "A query sees itself too: it is a little more than half.", (PAIRS, "pairs = t * t // 2")),
    ("a query doesn't see itself", "The first query sees one key: itself.", (PAIRS, "pairs = t * (t - 1) // 2")),
    ("key heads for query heads in attention", "Each query head has its own scores, also where it shares its keys.",
     (FORWARD, FORWARD.replace("h * e * pairs", "k * e * pairs"))),
    ("logits forgotten", "The output matrix is multiplied with every position.", (WEIGHTS, WEIGHTS.replace(" + v * d", ""))),
    ("embedding counted as a product", "An embedding is looked up: no arithmetic.", (WEIGHTS, WEIGHTS.replace("+ v * d", "+ 2 * v * d"))),
    ("one token only", "Every position of the text goes through all matrices.", (FORWARD, FORWARD.replace("2 * weights * t", "2 * weights"))),
    ("backward as much as forward", "For each product forward there are two backward: one for dX, one for dW.", (TRAIN, TRAIN.replace("3 *", "2 *"))),
    ("backward forgotten", "A training step goes forward and backward.", (TRAIN, TRAIN.replace("3 * ", ""))),
    ("2ND", "2ND is the forward pass; training takes three times as much.", ("return 6 *", "return 2 *")),
    ("3ND", "For each parameter and token there is a multiply-add in each of three products: how many operations is that?",
     ("return 6 *", "return 3 *")),
    ("4ND", "4ND is the backward pass alone.", ("return 6 *", "return 4 *")),
]]
