"""A toy space whose candidates share the weights of a supernet."""

from nas.testing.toys import RelaxableToySpace


class SharingToySpace(RelaxableToySpace):
    def path(self, genotype):
        return {site: (str(genotype.content[site]),) for site in self.letters(genotype)}

    def paths(self, base):
        return self.restrict({site: (value,) for site, value in base.content.items() if "letter" not in site})
