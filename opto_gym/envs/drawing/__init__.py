"""Pictures of environments, drawn by matplotlib without a display."""
