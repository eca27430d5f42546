"""The record of a run: its folder, its Optuna study, its trials.

study             one run's folder and the Optuna study in it
trial_records     trials encoded as Optuna's trials, and decoded
files             atomic writes, the lock of a run, the repair of its journal
configuration     what a recorded run was asked for, by earlier versions as well
run               a run and its candidates, as users look at them
parts             what a configuration stands for
pruned_versions   which pruned versions of trials a run still misses
remote            runs at a URL
"""
