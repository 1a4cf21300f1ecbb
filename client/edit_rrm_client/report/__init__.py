"""One HTML page from a results file: statistics, plots and a gallery, readable anywhere without a network.

It reads results and never asks a service.
"""
