"""The process: the command line, uvicorn, the start shown as it goes, the end by a signal.

It puts the other rooms together and must know no rule of theirs.
"""
