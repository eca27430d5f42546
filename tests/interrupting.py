"""A session that ends in the middle, as by Ctrl-C."""


class Until:
    """Ends the session after so many trials; says how many checkpoints there were after each."""

    def __init__(self, trials):
        self._left, self.checkpoints = trials, []

    def begin(self, run, search):
        self._study = run.study

    def measured(self, trial, measurement):
        pass

    def ended(self, trial):
        self.checkpoints.append(len(self._study.checkpoints()))
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
