"""What tests of one scene after another make of it."""

from dataclasses import replace


def thinned(tile, step):
    """An overview of every `step`-th pixel."""
    return replace(
        tile,
        image=tile.image[:, ::step, ::step],
        gaps=tile.gaps[:, ::step, ::step],
        references=tuple(replace(r, image=r.image[:, ::step, ::step]) for r in tile.references),
        step=step,
    )
