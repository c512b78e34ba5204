"""Training: the step, its sharding over devices, checkpoints, and the loop around them."""
