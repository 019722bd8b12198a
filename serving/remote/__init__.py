"""Asking a server from outside, over REST or gRPC: rankings and golden requests."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as in the package: TensorFlow's lines at import are no errors
