"""A fleet of servers of the OpenAI API. It must know of vLLM only what its servers take over HTTP."""
