"""Drawings for `render_image`, made by matplotlib without a display."""
