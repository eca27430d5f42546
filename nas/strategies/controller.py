"""The controller of Zoph & Le (2017): an LSTM that answers a space's choices one after another."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas.core.genotype import Genotype
from nas.core.space import Choice, Generator, SearchSpace, Value
from nas.core.threads import use_threads

_DRAWS = 500


@dataclass(frozen=True)
class Walk:
    """A genotype as the controller wrote it.

    Attributes:
        tokens: the choices that arose, in order, each with the index of its answer.
        log_probability: of all the answers, under the policy that drew them.
        probabilities: what that policy gave to each value of each of the choices, (V,).
    """

    tokens: tuple[tuple[Choice, int], ...]
    log_probability: float
    probabilities: tuple[NDArray[np.float64], ...]

    def list_probabilities(self) -> dict[str, dict[str, float]]:
        """List the probabilities, to four places, by the sites and the values as text."""
        rows = zip(self.tokens, self.probabilities, strict=True)
        return {
            choice.site: dict(zip(map(str, choice.values), row.round(4).tolist(), strict=True))
            for (choice, _), row in rows
        }


@dataclass
class _Node:
    """A choice point in the tree of walks.

    Attributes:
        probabilities: what the policy gives to each answer, (V,).
        left: which part of each answer's probability belongs to walks that may still be drawn, (V,).
        state: the LSTM's, after it has read the question.
        branches: the choice points that follow, by the answer's index.
    """

    probabilities: NDArray[np.float64]
    left: NDArray[np.float64]
    state: tuple[torch.Tensor, torch.Tensor]
    branches: dict[int, _Node] = field(default_factory=dict)


class Controller:
    """The policy: an LSTM whose input at each step is the question and the answer to the one before.

    A site gets, when it first arises, an embedding of its question and of each of its answers, and a linear head
    that gives the answers' logits. So only the choices that arise are asked. All is float64 on the CPU; what a site
    begins with depends on the seed and its name alone.

    Args:
        learning_rate: of the heads; the LSTM and the embeddings, whose gradients sum over all steps, take a tenth of
            it, and of a gradient of at most norm 1.
        usual: u; of a choice of V values the usual one begins with a probability of about u + (1 - u) / V, as a bias
            of the head says, the others with (1 - u) / V. Choices of which nothing is usual have no such bias.
    """

    def __init__(self, *, seed: int, hidden: int, learning_rate: float, usual: float = 0.0) -> None:
        self._seed, self._hidden, self._usual = seed, hidden, usual
        # by way of the meta device, as PyTorch would initialise it from its global generator
        lstm = nn.LSTM(hidden, hidden, batch_first=True, dtype=torch.float64, device="meta")
        self._lstm = lstm.to_empty(device="cpu")
        self._weights = list(self._lstm.parameters())
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self._weights:
                parameter.uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator)
        self._questions: dict[str, nn.Parameter] = {}
        self._answers: dict[str, nn.Parameter] = {}
        self._heads: dict[str, nn.Parameter] = {}
        self._biases: dict[str, nn.Parameter] = {}
        recurrent = {"params": [*self._weights], "lr": learning_rate / 10}
        self._tree: _Node | None = None  # of the walks drawn since the last step
        self._optimiser = torch.optim.SGD([recurrent, {"params": [], "lr": learning_rate}])

    def _add_site(self, choice: Choice) -> None:
        site, values = choice.site, len(choice.values)
        if site in self._heads:
            return
        generator = torch.Generator().manual_seed((self._seed << 32 | zlib.crc32(site.encode())) % 2**63)

        def drawn(*shape: int, bound: float) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, dtype=torch.float64).uniform_(-bound, bound, generator=generator))

        self._questions[site] = drawn(self._hidden, bound=1.0)
        self._answers[site] = drawn(values, self._hidden, bound=1.0)
        self._heads[site] = drawn(values, self._hidden, bound=0.1)
        bias = torch.zeros(values, dtype=torch.float64)
        if choice.usual is not None:
            bias[choice.values.index(choice.usual)] = math.log1p(self._usual * values / (1 - self._usual))
        self._biases[site] = nn.Parameter(bias)
        recurrent, heads = self._optimiser.param_groups
        recurrent["params"] += [self._questions[site], self._answers[site]]
        heads["params"] += [self._heads[site], self._biases[site]]

    # -- drawing

    @use_threads(1)
    @torch.no_grad()
    def draw(
        self, space: SearchSpace, generator: Generator, known: Callable[[Genotype], bool]
    ) -> tuple[Genotype, Walk] | None:
        """A genotype from the policy that is not `known`; None if there is none left, or none in 500 draws.

        Drawing from a policy that has settled, and dropping what is known, would take for ever. So a known genotype
        that was drawn is taken out of the tree of walks, with its probability, and the next draw is from what is
        left (Shi, Bieber & Sutton 2020, algorithm 1): the same distribution, and no known genotype is drawn twice.
        The tree is kept until the policy changes; what is known must stay known until then.
        """
        for _ in range(_DRAWS):
            path: list[tuple[_Node, int]] = []
            tokens: list[tuple[Choice, int]] = []

            def choose(
                choice: Choice, path: list[tuple[_Node, int]] = path, tokens: list[tuple[Choice, int]] = tokens
            ) -> Value:
                if path:
                    parent, answer = path[-1]
                    if answer not in parent.branches:
                        parent.branches[answer] = self._read_question(choice, parent.state, tokens[-1])
                    node = parent.branches[answer]
                else:
                    node = self._tree = self._tree or self._read_question(choice, None, None)
                weights = node.probabilities * node.left
                sums = np.cumsum(weights)
                index = int(np.searchsorted(sums, generator.random() * sums[-1], side="right"))
                index = min(index, int(np.flatnonzero(weights)[-1]))  # rounding may lead past the last
                path.append((node, index))
                tokens.append((choice, index))
                return choice.values[index]

            genotype = space.grow(choose)
            if not known(genotype):
                log_probability = sum(float(np.log(node.probabilities[index])) for node, index in path)
                return genotype, Walk(tuple(tokens), log_probability, tuple(node.probabilities for node, _ in path))
            left = 0.0
            for node, index in reversed(path):
                node.left[index] = left
                left = float(node.probabilities @ node.left)
            if left == 0:
                return None
        return None

    def _read_question(
        self, choice: Choice, state: tuple[torch.Tensor, torch.Tensor] | None, before: tuple[Choice, int] | None
    ) -> _Node:
        """One step of the LSTM."""
        self._add_site(choice)
        inputs: torch.Tensor = self._questions[choice.site]
        if before is not None:
            inputs = inputs + self._answers[before[0].site][before[1]]
        if state is None:
            nothing = torch.zeros(1, self._hidden, dtype=torch.float64)
            state = (nothing, nothing)
        hidden, cell = torch.lstm_cell(inputs[None], state, *self._weights)
        logits = torch.addmv(self._biases[choice.site], self._heads[choice.site], hidden[0])
        probabilities = torch.softmax(logits, 0).clamp_min(1e-30).numpy()  # every answer stays possible
        return _Node(probabilities, np.ones(len(probabilities)), (hidden, cell))

    # -- learning

    @use_threads(1)
    def evaluate(self, walks: Sequence[Walk]) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability (N,) of each walk under the policy as it is now, and entropy (N,) in nats.

        The entropy is the sum, over a walk's steps, of that of the distribution the answer was drawn from.
        """
        sites = {choice.site: len(choice.values) for walk in walks for choice, _ in walk.tokens}
        first = dict(zip(sites, np.cumsum([0, *sites.values()]).tolist(), strict=False))  # rows in what follows
        row = {site: number for number, site in enumerate(sites)}
        nothing = torch.zeros(1, self._hidden, dtype=torch.float64)
        questions = torch.stack([self._questions[site] for site in sites])
        answers = torch.cat([*(self._answers[site] for site in sites), nothing])
        heads = torch.cat([self._heads[site] for site in sites])
        biases = torch.cat([self._biases[site] for site in sites])

        shape = (len(walks), max(len(walk.tokens) for walk in walks))
        asked, answered = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        before = torch.full(shape, len(heads))  # the last row of `answers`: nothing has been answered
        offered = torch.zeros(*shape, len(heads), dtype=torch.bool)
        arises = torch.zeros(shape, dtype=torch.bool)
        for n, walk in enumerate(walks):
            for t, (choice, index) in enumerate(walk.tokens):
                start = first[choice.site]
                asked[n, t], answered[n, t], arises[n, t] = row[choice.site], start + index, True
                offered[n, t, start : start + len(choice.values)] = True
                if t + 1 < shape[1]:
                    before[n, t + 1] = start + index

        outputs, _ = self._lstm(questions[asked] + answers[before])
        logits = (outputs @ heads.T + biases).masked_fill(~offered, -1e30)
        logs = torch.log_softmax(logits, dim=-1)
        chosen = logs.gather(-1, answered[..., None])[..., 0]
        entropies = -(logs.exp() * logs).sum(-1)
        return (chosen * arises).sum(1), (entropies * arises).sum(1)

    @use_threads(1)
    def descend(self, loss: torch.Tensor) -> None:
        """One step down the gradient of `loss`, a scalar."""
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._optimiser.param_groups[0]["params"], 1.0)
        self._optimiser.step()
        self._tree = None
