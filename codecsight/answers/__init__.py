"""Read typed answers with probabilities from a model's logits."""
