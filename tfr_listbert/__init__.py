"""ListBERT for online shops: listwise ranking of products with a RoBERTa trained on the shop's own text."""

import os

# TensorFlow 2.15 logs "Unable to register cuDNN factory" and two more at ERROR level on every machine without a GPU;
# real failures reach Python as exceptions. A value that the user has set stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
