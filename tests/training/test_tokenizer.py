import re

import pytest
from transformers import PreTrainedTokenizerFast

from codecsight.world import COLOURS, ActorKind
from codecsight.world.labels.questions import WORDINGS
from training.tokenizer import ANSWERS, SPECIAL_TOKENS, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


@pytest.mark.parametrize(
    "text",
    [
        "Is there a person?",
        "<1234.5 seconds>",
        "Où est le café? 東京 🚲",
        "two  spaces\n\nand\ttabs ",
        "<|im_start|>user\nWhat colour is the car?<|im_end|>\n",
    ],
)
def test_any_text_survives_a_round_trip(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_answer_is_one_token_after_the_assistant_prompt(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    prompt = tokenizer.encode("<|im_start|>assistant\n")
    for answer in (*ANSWERS, *COLOURS, *ActorKind, "car"):
        ids = tokenizer.encode(f"<|im_start|>assistant\n{answer}")
        assert ids[:-1] == prompt, answer
        assert tokenizer.decode(ids[-1:]) == answer


def test_special_tokens_are_single_and_distinct(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = [tokenizer.encode(token) for token in SPECIAL_TOKENS]
    assert all(len(each) == 1 for each in ids)
    assert len({each[0] for each in ids}) == len(SPECIAL_TOKENS)
    assert tokenizer.eos_token == "<|im_end|>"


def test_the_words_of_the_questions_are_one_token_each(tokenizer: PreTrainedTokenizerFast) -> None:
    for wordings in WORDINGS.values():
        for text in wordings:
            words = re.sub(r"([?.]|'s)", r" \1", text).split()
            assert len(tokenizer.encode(text)) == len(words)


def test_the_words_of_descriptions_are_one_token_each(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "two people, a yellow car moving right, three bags, smoke, fire"
    assert len(tokenizer.encode(text)) == len(text.replace(",", " ,").split())


def test_the_chat_template_renders_qwens_turns(tokenizer: PreTrainedTokenizerFast) -> None:
    content = [{"type": "video"}, {"type": "text", "text": "Is there a bag?"}]
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    assert rendered == (
        "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>Is there a bag?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_the_tokenizer_is_deterministic(tokenizer: PreTrainedTokenizerFast) -> None:
    assert build_tokenizer().get_vocab() == tokenizer.get_vocab()
