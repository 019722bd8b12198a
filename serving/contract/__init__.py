"""TensorFlow Serving's REST contract as a table, to be run against any server that serves the models beside it.

The tests run it against the local server. For a real one:

    python serving/verify.py --write-contract-models FOLDER
    tensorflow_model_server --rest_api_port=8501 --model_config_file=FOLDER/models.config \\
        --monitoring_config_file=FOLDER/monitoring.config --allow_version_labels_for_unavailable_models=true &
    python serving/verify.py --contract http://127.0.0.1:8501
"""
