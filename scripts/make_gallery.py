"""Updates docs/gallery.md and its pictures by running one environment of each family on this machine.

python scripts/make_gallery.py
"""

from __future__ import annotations

from pathlib import Path

from opto_gym.cli import gallery


def main() -> None:
    """Writes the page and the pictures."""
    docs = Path(__file__).parent.parent / "docs"
    cards = list(gallery.cards())
    gallery.pictures(docs / "gallery", cards)
    (docs / "gallery.md").write_text(gallery.render("gallery.md.j2", cards, pictures="gallery/"), encoding="utf-8")
    for card in cards:
        print(f"{card.name:30} {card.failed or card.time}")


if __name__ == "__main__":
    main()
