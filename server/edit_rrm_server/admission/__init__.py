"""Who may have room, and when: the queue and its lanes, budgets, drain rates, rate limits.

Pure bookkeeping on the event loop's thread. It must know neither HTTP nor what a job is about.
"""
