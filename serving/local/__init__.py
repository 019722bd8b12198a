"""The local server: TensorFlow Serving's REST and gRPC contract on one development machine. Not for production."""
