"""Masked words: the encoder continues to learn German before it is trained on labels. Whole words are hidden, since a
name's piece is easy to guess from its other pieces. The embeddings of pieces stay as they are: German text would move
those of other languages only away."""

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from .batches import Examples, plan_batches
from .config import Config, Pretraining, parse_arguments
from .model import TwoHeads, starting_model
from .precision import pool_dropout, precision_for
from .train import Run, add_options, parameter_groups, train

SPECIALS = 4  # the ids of `<s>`, `<pad>`, `</s>`, `<unk>` come first, `<mask>` last
# Of the hidden words: those that are masked, and those that become random pieces; the rest stays as it is.
MASKED, RANDOM = 0.8, 0.1
IGNORED = -100


class MaskedWords(nn.Module):
    """The two heads' encoder with a third head, which guesses pieces and is thrown away after this step."""

    def __init__(self, model: TwoHeads, word_starts: Tensor, masked_share: float):
        super().__init__()
        self.model = model
        width, n_pieces = model.encoder.config.hidden_size, model.encoder.config.vocab_size
        self.guess_head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.guess_head_bias = nn.Parameter(torch.zeros(n_pieces))
        self.masked_share = masked_share
        self.register_buffer("word_starts", word_starts, persistent=False)

    def loss(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.hide(input_ids)
        states = self.model.states(self.replace(input_ids, hidden), attention_mask)
        embeddings = self.model.encoder.embeddings.word_embeddings.weight.to(states.dtype)
        guesses = self.guess_head(states[hidden]) @ embeddings.T + self.guess_head_bias
        return F.cross_entropy(guesses.float(), input_ids[hidden])

    def hide(self, input_ids: Tensor) -> Tensor:
        """Whether a piece is hidden: all pieces of `masked_share` of the words."""
        flat = input_ids.flatten()
        word = self.word_starts[flat].long().cumsum(0)
        drawn = torch.rand(len(flat) + 1, device=flat.device)[word] < self.masked_share
        return (drawn & (flat >= SPECIALS)).view_as(input_ids)

    def replace(self, input_ids: Tensor, hidden: Tensor) -> Tensor:
        drawn = torch.rand(input_ids.shape, device=input_ids.device)
        mask = len(self.guess_head_bias) - 1
        pieces = torch.randint_like(input_ids, SPECIALS, mask)
        replaced = torch.where(drawn < MASKED, mask, torch.where(drawn < MASKED + RANDOM, pieces, input_ids))
        return torch.where(hidden, replaced, input_ids)


def main() -> None:
    config, arguments = parse_arguments(__doc__, add_options)
    torch.manual_seed(config.seed)
    config.paths.trained.parent.mkdir(parents=True, exist_ok=True)
    run = start_run(config, arguments.minutes)
    if arguments.restart:
        run.checkpoint_file.unlink(missing_ok=True)
    train(run)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): t for name, t in run.precision.state_dict().items() if name.startswith(prefix)
    }
    torch.save({name: tensor.cpu() for name, tensor in weights.items()}, config.paths.trained)
    run.checkpoint_file.unlink(missing_ok=True)


def start_run(config: Config, minutes: float | None) -> Run:
    settings: Pretraining = config.pretraining
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    examples = {"text": Examples(config.paths.corpus)}
    epochs = range(config.seed, config.seed + settings.epochs)
    plan = [batch for seed in epochs for batch in plan_batches(examples, settings.batch_tokens, seed)]
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    words = MaskedWords(starting_model(config, settings.dropout), word_starts(tokenizer), settings.masked_share)
    words = words.to(device)
    pool_dropout(words, device)
    for part in (words.model.entity_head, words.model.topic_head, words.model.encoder.embeddings.word_embeddings):
        part.requires_grad_(requires_grad=False)
    precision = precision_for(words, words.model.encoder.embeddings, device)
    optimizer = torch.optim.AdamW(parameter_groups(precision, settings), betas=(0.9, 0.98), eps=1e-6, fused=True)

    def loss(_task: str, tensors: dict[str, Tensor]) -> Tensor:
        return words.loss(tensors["input_ids"], tensors["attention_mask"])

    budget_s = 60 * (settings.time_budget_minutes if minutes is None else minutes)
    print(f"{len(plan)} steps of {settings.batch_tokens} tokens on {device} in {precision.name}", flush=True)
    return Run(settings, config.paths.checkpoint, examples, plan, words, loss, precision, optimizer, device, budget_s)


def word_starts(tokenizer: Tokenizer) -> Tensor:
    """`[pieces]`, whether a word begins with the piece; a special token is a word, too."""
    pieces = [tokenizer.id_to_token(index) or "" for index in range(tokenizer.get_vocab_size())]
    special = [index < SPECIALS or index == len(pieces) - 1 for index in range(len(pieces))]
    starts = zip(pieces, special, strict=True)
    return torch.tensor([piece.startswith("▁") or is_special for piece, is_special in starts])


if __name__ == "__main__":
    main()
