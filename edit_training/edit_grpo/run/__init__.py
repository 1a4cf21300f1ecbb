"""A run put together: settings, resuming, the loop, its log, grids, samples; it alone knows all others."""
