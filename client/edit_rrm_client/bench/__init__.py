"""Public benchmarks of edit judges, run through the service from local copies of their Parquet files.

It knows nothing of how a judge makes its scores: it asks the service as any client does.
"""
