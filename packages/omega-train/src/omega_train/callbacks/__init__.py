"""Lightning callbacks for everything that a run does besides its steps; each has one job.

`omega_train.callbacks.all_callbacks` lists them in the order of their calls.
"""
