"""Public benchmarks of edit judges, run through the service from local copies of their Parquet files."""
