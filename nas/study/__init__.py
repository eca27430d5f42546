"""The record of a run: its folder, its Optuna study, its trials."""
