"""Strategies compared on tables of known results.

table       a table, and a question that is put to it
benchmark   many searches of a table, and their regret
figure      regret over evaluations, drawn
"""
