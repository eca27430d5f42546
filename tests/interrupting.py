"""Sessions that end in the middle, as by Ctrl-C, and what there is to go on from."""

from nas.loop import Event, InMemory


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


class Diary(InMemory):
    """Keeps the asks and tells in their order, as a run's study does."""

    def __init__(self):
        self.events = []

    def asked(self, trial, event):
        self.events.append(Event(event, "ask", trial))

    def told(self, trial, event):
        self.events.append(Event(event, "tell", trial))
