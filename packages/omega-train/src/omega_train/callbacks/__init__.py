"""Lightning callbacks for all that a run does besides its steps, with one job each.

`omega_train.callbacks.all_callbacks` lists them in their order.
"""
