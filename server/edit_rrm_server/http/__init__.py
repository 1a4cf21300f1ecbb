"""What surrounds a request: envelope, multipart, keys, the log line, problems, OpenAPI of bodies.

It must know nothing of scores.
"""
