"""Every canonical code is answered with the HTTP status that TensorFlow Serving gives it."""

import json

import pytest
import tensorflow as tf

from serving.local.rest import RestAPI
from serving.remote.errors import HTTP_STATUSES


class FailingManager:
    """Has no model, but always the same fault."""

    def __init__(self, fault):
        self.fault = fault

    def use(self, *_):
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (tf.errors.InvalidArgumentError, 400, "INVALID_ARGUMENT"),
        (tf.errors.FailedPreconditionError, 400, "FAILED_PRECONDITION"),
        (tf.errors.OutOfRangeError, 400, "OUT_OF_RANGE"),
        (tf.errors.UnauthenticatedError, 401, "UNAUTHENTICATED"),
        (tf.errors.PermissionDeniedError, 403, "PERMISSION_DENIED"),
        (tf.errors.NotFoundError, 404, "NOT_FOUND"),
        (tf.errors.AlreadyExistsError, 409, "ALREADY_EXISTS"),
        (tf.errors.AbortedError, 409, "ABORTED"),
        (tf.errors.ResourceExhaustedError, 429, "RESOURCE_EXHAUSTED"),
        (tf.errors.CancelledError, 499, "CANCELLED"),
        (tf.errors.InternalError, 500, "INTERNAL"),
        (tf.errors.UnknownError, 500, "UNKNOWN"),
        (tf.errors.DataLossError, 500, "DATA_LOSS"),
        (tf.errors.UnimplementedError, 501, "UNIMPLEMENTED"),
        (tf.errors.UnavailableError, 503, "UNAVAILABLE"),
        (tf.errors.DeadlineExceededError, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_code_has_its_http_status(fault, status, code):
    api = RestAPI(FailingManager(fault(None, None, "so it is")))
    answer = api.answer("POST", "/v1/models/m:predict", b'{"instances": [1.0]}')
    assert (answer.status, answer.code, json.loads(answer.body)) == (status, code, {"error": "so it is"})
    assert HTTP_STATUSES.get(code, 500) == status  # as the clients read it


def test_fault_of_the_server_itself_is_internal():
    answer = RestAPI(FailingManager(KeyError("lost"))).answer("POST", "/v1/models/m:predict", b'{"instances": [1.0]}')
    assert (answer.status, answer.code) == (500, "INTERNAL")
    assert json.loads(answer.body) == {"error": "KeyError: 'lost'"}
