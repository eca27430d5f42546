"""Experiment trackers: what a run does, told to TensorBoard, MLflow or Weights & Biases as it happens."""

from nas.trackers.tracker import Tracker, TrialReport, find_tracker, make_tracker

__all__ = ["Tracker", "TrialReport", "find_tracker", "make_tracker"]
