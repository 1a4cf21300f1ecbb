"""Public benchmarks of edit judges, run through the service from local copies of their Parquet files;
and the tables of benchmarks of editors, from what bulk scoring wrote.

It knows nothing of how a judge makes its scores: it asks the service as any client does.
"""
