"""Readers of what language models write: proposals, answers to tasks, actions.

A reader is tolerant of the form of a text, and either finds what was meant or refuses the text with a reason.
"""
