"""Tables in the terminal, figures, and HTML or Markdown pages of results."""
