"""Cold-start SFT (docs/paper.md, Stage 1). It must know nothing of who weighs tokens."""
