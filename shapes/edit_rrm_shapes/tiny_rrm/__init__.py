"""The tiny RRM: a 4-million-parameter Qwen2.5-VL trained on the shapes world from nothing."""
