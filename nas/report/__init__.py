"""A run, shown to people.

html      the page, report.html
figures   its figures
card      the model card of a trial
"""
