"""What trainings read: SFT rows, preference pairs, gold edits, published layouts, pictures by reference.

It must know no model and no training.
"""
