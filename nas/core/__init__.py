"""The contracts, and the search that ties them together; nothing heavy is imported.

genotype         what identifies a candidate
space            search spaces, their decisions and what they can do
job              what is asked of an evaluator
trial            proposals, measurements, outcomes, trials
metric           what is measured, and in which direction it is better
strategy         what proposes and recommends
evaluator        what scores
supernet         weight sharing
early_stopping   rules that stop trials
executor         what evaluates the trials of a search
search           next trial, report, end
record           where a search writes down what happens
process          cores and environment variables
pareto           fronts and ranks
threads          how many threads PyTorch computes with
errors           what users are told
"""
