"""The forms an answer may have in a judge file, and expressions over the subscores they give.

It knows no prompt and no judge, and of a model no more than the tokens it wrote.
"""
