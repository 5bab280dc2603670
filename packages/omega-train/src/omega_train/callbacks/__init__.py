"""What happens in a run besides its steps: callbacks of Lightning's with one job each.

`omega_train.callbacks.run` has them all, in their order.
"""
