"""From a checkpoint as people name it to directories an engine can load.

Hub ids are downloaded, adapters merged, each in a process of its own; it must know no engine.
"""
