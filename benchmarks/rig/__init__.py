"""What benchmarks share: servers under test, calls made beforehand, vLLM as the service sets it, reports."""
