"""A run, shown to people.

html, comparison_page   the pages: a run's, and that of runs side by side
page, templates/        what pages share: style, behaviour, and the policy that forbids them the network
facts                   a run read once
charts, strips, graphs  drawings, as SVG
layers                  a network's layers in words
progress, front, importance, lineage, proposals, supernets, verdict, repeat, trial_table
                        a section of a run's page each
comparing, significance what runs came to, by groups, and whether that is more than luck
words                   numbers and names as people read them
card                    the model card of a trial
"""
