"""Evaluators: they train candidates and measure how good these are.

task: what is special about training one kind of model.
training_evaluator: everything that is the same for all kinds: epochs, checkpoints, inheritance, growth, pruning.
model_builder: builds the models of trials.
models: initialises a model from a seed, translates errors of memory, and serialises tensors.
pictures: images in rows as PNG, and trainings as GIF.
table: looks results up in a table instead of training.
autoencoder, gan, cyclegan: a task each.
adversarial: what gan and cyclegan share.
training: what all trainings use.
supernets: all candidates of a space trained as one.
inheritance: a child's model begins with its parent's weights.
pruning: whole channels are removed from a trained model.
features: networks that describe images, so that samples can be scored.
metrics: pure functions that measure quality and cost.
"""
