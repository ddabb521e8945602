"""What `--set` may not say, with the weights that come along: one sentence, before anything is drawn."""

import pytest
from terramend.models import registry


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": "501"}, "steps lie between 1 and 500, again and samples from 1 on"),
        ({"steps": "-1"}, "steps lie between 1 and 500"),
        ({"again": "0"}, "again and samples from 1 on"),
        ({"samples": "0"}, "again and samples from 1 on"),
        ({"device": "tpu"}, "device is cpu or cuda, not tpu"),
    ],
)
def test_a_number_out_of_range(settings, said) -> None:
    with pytest.raises(ValueError, match=said):
        registry.find("ddpm").create("fast", 0, settings)
