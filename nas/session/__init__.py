"""A session with a run, from its configuration to the exported model.

start           nas search and nas train: a new run
resume          nas resume: a run goes on
train           the configuration of a training, from the run of its architecture
prune           nas prune: smaller versions of a run's trials
evaluate        nas evaluate: a trained model is judged by what it is used for
replay          nas replay: a trial is trained again from its record
continuing      nas search --continue: what of a run counts in another space
dashboard       nas dashboard: Optuna's, over all runs of a folder
starting_config nas init: a commented configuration for one's data
doctor          nas doctor: what is wrong here, and how to mend it
arguments       options of the Python interface, as names and objects
execution       the search runs to its end; the best is tested and delivered
assembly        the parts of a search, made from a configuration
given           objects that a caller passes instead of names
data            the data of a run
device          what computes, and with which numbers
restrictions    the space, restricted by options, objectives and an architecture
option_checks   options that do not fit each other are refused
warm_start      trials that begin from earlier trials' weights
promotion       who is promoted to the next rung
cost_limits     what costs too much and is not trained
plan            how long candidates are trained, and what fits into a time limit
finals          when the best are trained in full, and who has won
final_parts     which of them is trained next, for how long, and how regularised
time_left       how much longer a run takes
comparison      whether the search has paid
checkpoint      a training in full on disk
delivery        exported models and the report
tracking        TensorBoard, MLflow, Weights & Biases are told of trials
lookup          runs, trials and genotypes by what users call them
environment     versions of packages, and the machine
"""
