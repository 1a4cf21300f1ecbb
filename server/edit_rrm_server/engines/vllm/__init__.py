"""vLLM in this process and its children: the only room that imports it, `internals` its private names."""
