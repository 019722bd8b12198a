"""Training runs of which many are made and compared: each in a process of its own, with its end written down."""
