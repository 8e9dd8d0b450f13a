"""Readers of what language models write: proposals, answers to tasks, actions. A text is read as meant or refused."""
