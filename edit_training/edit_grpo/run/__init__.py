"""A run put together: settings, resuming, the loop, its log, grids, samples; it alone knows all others.

It must not know how a sample is drawn, rewarded or learned from: each has its room.
"""
