"""Vision-language models behind one interface: loading, prompts and the packed forward passes."""
