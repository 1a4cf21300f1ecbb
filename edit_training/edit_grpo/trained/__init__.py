"""An editor after its training: found by run or folder, sampled over edit lists, exported for diffusers.

It must not know rewards: scoring is another program's, which reads what is written here.
"""
