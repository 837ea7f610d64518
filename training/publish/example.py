"""Ask the default model with transformers: FOLDER, PICTURES.npy (two a second), QUESTION."""

import sys

import numpy as np
import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

folder, pictures, question = sys.argv[1:]
model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(folder)

# Uint8 [pictures, 96, 128, 3], two per slot, as patches in the order of Qwen's processor.
pixels = torch.from_numpy(np.load(pictures)) / 127.5 - 1
blocks = pixels.view(-1, 2, 6, 2, 8, 8, 2, 8, 3).permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
patches, slots = blocks.reshape(-1, 3 * 2 * 8 * 8), len(blocks)

window = "".join(
    f"<{slot + 0.25:.1f} seconds><|vision_start|>{'<|video_pad|>' * 48}<|vision_end|>"
    for slot in range(slots)
)
prompt = f"<|im_start|>user\n{window}{question}<|im_end|>\n<|im_start|>assistant\n"
ids = tokenizer(prompt, return_tensors="pt").input_ids
output = model.generate(
    input_ids=ids,
    attention_mask=torch.ones_like(ids),
    mm_token_type_ids=(ids == model.config.video_token_id).int() * 2,
    pixel_values_videos=patches,
    video_grid_thw=torch.tensor([[slots, 12, 16]]),
)
print(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))
