"""What `--set` may not say, with the weights that come along: one sentence, before anything is drawn."""

import pytest
from terramend.models import registry


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("ddpm", {"steps": "501"}, "steps is a whole number from 1 to 500, not 501"),
        ("ddpm", {"steps": "-1"}, "steps is a whole number from 1 to 500, not -1"),
        ("ddpm", {"again": "0"}, "again is a whole number from 1 on, not 0"),
        ("ddpm", {"samples": "many"}, "samples is a whole number from 1 on, not many"),
        ("ddpm", {"device": "tpu"}, "device is cpu or cuda, not tpu"),
        ("aligndiff", {"steps": "1.5"}, "steps is a whole number from 1 to 1000, not 1.5"),
        ("aligndiff", {"guidance": "nan"}, "guidance is a number from 0 to 1, not nan"),
        ("de", {"limit": "2"}, "limit is a number from 0 to 1, not 2"),
        ("de", {"limit": "half"}, "limit is a number from 0 to 1, not half"),
        ("de", {"steps": "1e3"}, "steps is a whole number from 1 to 1000, not 1e3"),
    ],
)
def test_a_number_that_is_none_or_out_of_range(method, settings, said) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        registry.find(method).create("fast", 0, settings)
