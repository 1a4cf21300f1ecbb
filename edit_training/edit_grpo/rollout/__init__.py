"""Drawing candidates: SDE and ODE steps, windows, samplers. It must know no reward."""
