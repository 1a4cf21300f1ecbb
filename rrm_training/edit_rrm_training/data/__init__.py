"""What training reads: rows of SFT, preference pairs, and the pictures they refer to."""
