"""A session with a run, from its configuration to the exported model.

start           nas search and nas train: a new run
resume          nas resume: a run goes on
prune           nas prune: smaller versions of a run's trials
train           the configuration of a training, from the run of its architecture
execution       the search runs to its end; the best is tested and delivered
assembly        the parts of a search, made from a configuration
given           objects that a caller passes instead of names
data            the data of a run
device          what computes, and with which numbers
restrictions    the space, restricted by options, objectives and an architecture
option_checks   options that do not fit each other are refused
warm_start      trials that begin from earlier trials' weights
checkpoint      a training in full on disk
delivery        exported models and the report
lookup          runs, trials and genotypes by what users call them
environment     versions of packages, and the machine
"""
