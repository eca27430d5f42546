"""A space of one cell."""

from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import ChoiceSpace


class CellSpace(ChoiceSpace):
    """One cell and nothing else."""

    def __init__(self, encoding):
        super().__init__()
        self.name, self.encoding = f"{encoding}_cell", ENCODINGS[encoding]

    def decide(self, ask):
        self.encoding.decide(ask.within("cell"))

    def build(self, genotype, shape):
        return self.encoding.build(genotype.content, "cell", shape[0], "none", "relu")

    def describe(self, genotype, shape):
        return self.encoding.describe(genotype.content, "cell")

    def edges(self, genotype):
        return self.encoding.edges(genotype.content, "cell")
