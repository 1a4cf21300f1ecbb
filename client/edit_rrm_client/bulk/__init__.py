"""Bulk scoring: many edits from files, a journal that survives a kill, results as rows, and what they say.

Imports nothing heavier than httpx. Parquet needs the extra `edit-rrm[bulk]`, a cluster `edit-rrm[ray]`;
both are loaded only when they are used.
"""
