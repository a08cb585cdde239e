"""The image for a card: `python -m deploy.image` builds it. README.md has the rest."""
