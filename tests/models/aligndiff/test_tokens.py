"""The vocabulary; that it is CLIP's encoding is tested in the full environment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from terramend.models.aligndiff import tokens
from terramend.models.aligndiff.prompt import TOKEN

WORDS = ["red red red green", "green red edge", "Île-de-France, SWIR1"]


def test_the_most_frequent_pairs_are_joined_first() -> None:
    made = tokens.learn(WORDS, 3, 12)
    # "e" + "d</w>" occurs 4 times in red, "r" + "e" 6 times in red and green.
    assert made.merges[0] == ("r", "e")
    assert made.merges[1] == ("re", "d</w>")
    assert "red</w>" in made.ids and len(set(made.ids.values())) == len(made.ids)


def test_prompts_begin_end_and_are_filled_up() -> None:
    made = tokens.learn(WORDS, 40, 8)
    red, start, end = (made.ids[word] for word in ("red</w>", tokens.START, tokens.END))
    expected = [start, made.ids[TOKEN], red, red, end, end, end, end]
    np.testing.assert_array_equal(made.encode(f"{TOKEN} Red red"), expected)
    assert made.encode("red " * 50)[-1] == end and len(made.encode("red " * 50)) == 8


@given(st.text(max_size=30))
def test_any_text_has_tokens(text) -> None:
    ids = MADE.encode(text)
    assert ids.shape == (77,) and ids[0] == MADE.ids[tokens.START] and ids.max() < len(MADE.ids)


MADE = tokens.learn(WORDS, 10, 77)


def test_files_bring_the_vocabulary_back(tmp_path) -> None:
    MADE.save(tmp_path)
    again = tokens.load(tmp_path, 77)
    assert again == MADE


def test_a_vocabulary_without_the_models_word_gets_it(tmp_path) -> None:
    ids = {token: place for token, place in MADE.ids.items() if token != TOKEN}
    tokens.Vocabulary(ids, MADE.merges).save(tmp_path)
    assert tokens.load(tmp_path).ids[TOKEN] == len(ids)


def test_bands_together_share_one_prompt() -> None:
    prompts = [f"{TOKEN} Peru, {band}" for band in ("Blue", "Green")]
    assert tokens.joint(prompts) == f"{TOKEN} Peru, Blue, Green"
