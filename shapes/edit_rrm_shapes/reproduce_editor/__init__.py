"""The paper's claim in miniature: a trained reward makes an editor better, by the word of an oracle.

It drives the commands of the other packages and knows nothing of how they work.
"""
