"""The specialists of each domain, as agents."""
