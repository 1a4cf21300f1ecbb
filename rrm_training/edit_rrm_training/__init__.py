"""Produces an Edit-RRM: the data pipeline, SFT, GCPO, evaluation. Rooms, each importing only those below it:

cli, evaluation | pipeline, sft | gcpo, rollouts, runs, endpoints, data, errors.
"""

""
