"""The local server: TensorFlow Serving's REST contract on one development machine. Not for production."""
