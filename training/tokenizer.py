"""The checkpoint's tokenizer: byte-level BPE trained on the questions and answers.

Any text can be encoded, as bytes. The words of the questions and all answers are one token each.
The order of all word lists decides the token ids of the trained model: do not change it.
"""

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from codecsight.world.labels.description import EMPTY_DESCRIPTION, NUMBER_WORDS
from codecsight.world.labels.questions import WORDINGS
from codecsight.world.scene.actor import COLOURS, ActorKind

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
ANSWERS = ("yes", "no", *"0123456789", *COLOURS)
_WORDS = (*(kind.value for kind in ActorKind), "car", "user", "assistant", "system", "seconds")
# Further words of descriptions.
_DESCRIPTION_WORDS = (
    *NUMBER_WORDS,
    EMPTY_DESCRIPTION,
    *("in", "a", "people", "cars", "bags", "smoke", "fire"),
    *("standing", "walking", "running", "lying", "moving", "left", "right"),
)
_VOCABULARY_SIZE = 768
# Qwen's pre-tokenization: digits are single tokens, a space belongs to the word after it.
_WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'video' -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}"
    "{%- elif part.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- else -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Train the tokenizer. The result is deterministic."""
    inner = Tokenizer(models.BPE())
    inner.normalizer = normalizers.NFC()
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=SPECIAL_TOKENS[2],
        pad_token=SPECIAL_TOKENS[0],
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        chat_template=CHAT_TEMPLATE,
        model_max_length=32768,
        clean_up_tokenization_spaces=False,
    )


def _corpus() -> list[str]:
    questions = [text for texts in WORDINGS.values() for text in texts]
    vocabulary = [*ANSWERS, *_WORDS, *_DESCRIPTION_WORDS]
    words = [*vocabulary, *(f" {word}" for word in vocabulary)]
    return (questions + words + ["<1.5 seconds>", "user\n", "assistant\n"]) * 50
