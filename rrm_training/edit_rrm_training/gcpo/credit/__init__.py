"""What traces earn: win ratios, and the expectation over all scores a trace could have. Pure over tensors."""
