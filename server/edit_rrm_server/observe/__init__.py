"""What operators see: metrics (a class a room), traces, log levels.

Every room reports here; this one must know none of them.
"""
