"""Task families, one module each; each reads on its own."""
