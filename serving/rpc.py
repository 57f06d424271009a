"""TensorFlow Serving's gRPC interface: PredictionService, ModelService, health and reflection."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import inference, service, wire
from serving.core import NEVER, Core, Record
from serving.errors import Code, ServingError, invalid
from serving.logs import Log
from serving.security import Guard, Token, check_admin, check_model
from serving.tensors import to_proto
from serving.versions import ModelConfig

SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


class _Base:
    """What all methods share: who asks, until when, and how it ends."""

    def __init__(self, core: Core, guard: Guard, log: Log) -> None:
        self.core, self._guard, self._log = core, guard, log
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def _admit(self, context: Any) -> Token | None:
        if self._guard.idle:
            return None
        peer = context.peer().rpartition(":")[0]
        return self._guard.admit(dict(context.invocation_metadata()).get("authorization"), peer)

    def _end(self, context: Any, error: Exception) -> ServingError:
        """Tell the client; what is no ServingError is our fault, and is logged."""
        if not isinstance(error, ServingError):
            self._log.error("fault", error=f"{type(error).__name__}: {error}"[:500])
            error = ServingError(Code.INTERNAL, "Internal error; the server's log has it.")
        context.set_code(_STATUS[int(error.code)])
        context.set_details(error.message)
        return error


class PredictionService(_Base, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def Predict(self, request: Any, context: Any) -> Any:
        """Tensors in, tensors out. The request is `wire.PredictRequest`: see `handlers`."""
        return self._infer("Predict", request, context, self._predict) or predict_pb2.PredictResponse()

    def Classify(self, request: Any, context: Any) -> Any:
        """Examples in, classes out."""
        return self._infer("Classify", request, context, self._examples) or classification_pb2.ClassificationResponse()

    def Regress(self, request: Any, context: Any) -> Any:
        """Examples in, values out."""
        return self._infer("Regress", request, context, self._examples) or regression_pb2.RegressionResponse()

    def MultiInference(self, request: Any, context: Any) -> Any:
        """Examples in, several signatures' answers out, of one run."""
        return self._infer("MultiInference", request, context, self._multi) or inference_pb2.MultiInferenceResponse()

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """The signatures of a model."""
        try:
            token = self._admit(context)
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            check_model(token, request.model_spec.name)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != "signature_def":
                    raise invalid(f"Metadata field {field} is not supported")
            return service.metadata(self.core.model_of(request.model_spec))
        except Exception as error:
            self._end(context, error)
            return get_model_metadata_pb2.GetModelMetadataResponse()

    def _infer(self, method: str, request: Any, context: Any, work: Callable[..., Any]) -> Any:
        record = Record("", method, "GRPC", "", started=time.time())
        start = time.perf_counter()
        response = None
        try:
            token = self._admit(context)
            spec = request.tasks[0].model_spec if method == "MultiInference" and request.tasks else None
            if method != "MultiInference":
                if not request.HasField("model_spec"):
                    raise invalid("Missing ModelSpec")
                spec = request.model_spec
            record.model = spec.name if spec is not None else ""
            check_model(token, record.model)
            left = context.time_remaining()
            deadline = NEVER if left is None else time.monotonic() + left
            response = work(request, record, deadline)
        except Exception as error:
            known = self._end(context, error)
            record.code, record.error = known.code, known.message
        self._finish(record, context, time.perf_counter() - start)
        return response

    def _finish(self, record: Record, context: Any, took: float) -> None:
        if self.core.on_request is not None:
            given = dict(context.invocation_metadata()).get("x-request-id", "")
            record.request_id = str(given)[:128] or f"{self._prefix}-{next(self._numbers):x}"
        waiting = self.core.finish(record, took)
        if waiting is not None:
            waiting.result()

    def _predict(self, request: Any, record: Record, deadline: float) -> Any:
        model = self.core.model_of(request.model_spec)
        record.version = model.version
        given = wire.inputs_of(request)
        record.inputs = given
        call = inference.predict(model, request.model_spec.signature_name, given, request.output_filter)
        record.signature = call.signature
        outputs = self.core.run(call, deadline)
        response = predict_pb2.PredictResponse()
        service.fill_spec(response.model_spec, model, call.signature)
        for name, array in zip(call.names, outputs):
            to_proto(array, response.outputs[name], as_content=self.core.options.as_content)
        record.outputs = dict(zip(call.names, outputs))
        return response

    def _examples(self, request: Any, record: Record, deadline: float) -> Any:
        classify = record.method == "Classify"
        model = self.core.model_of(request.model_spec)
        record.version, record.request = model.version, request
        record.signature = request.model_spec.signature_name
        method = inference.CLASSIFY if classify else inference.REGRESS
        check = self.core.options.check_method
        call = inference.of_examples(model, record.signature, method, request.input, check_method=check)
        self._count_examples(call)
        record.response = service.examples_response(call, self.core.run(call, deadline), classify=classify)
        return record.response

    def _multi(self, request: Any, record: Record, deadline: float) -> Any:
        inference.check_tasks(request.tasks)
        model = self.core.model_of(request.tasks[0].model_spec)
        record.version, record.request = model.version, request
        call = inference.multi(model, request.tasks, request.input, check_method=self.core.options.check_method)
        self._count_examples(call)
        record.response = service.multi_response(call, request.tasks, self.core.run(call, deadline))
        return record.response

    def _count_examples(self, call: inference.Call) -> None:
        self.core.metrics.example_counts.observe((call.model.name,), call.examples)
        self.core.metrics.example_count_total.add((call.model.name,), call.examples)


def handlers(service: PredictionService) -> grpc.GenericRpcHandler:
    """What is to be asked before the generated handlers: Predict, with the request that is cheaper to read."""
    predict = grpc.unary_unary_rpc_method_handler(
        service.Predict, wire.PredictRequest.FromString, predict_pb2.PredictResponse.SerializeToString
    )
    return grpc.method_handlers_generic_handler(SERVICES[0], {"Predict": predict})


class ModelService(_Base, model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, core: Core, guard: Guard, log: Log, read: Callable[[Any], Sequence[ModelConfig]]) -> None:
        super().__init__(core, guard, log)
        self._read = read

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """What has become of the versions of a model."""
        try:
            token = self._admit(context)
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            spec = request.model_spec
            check_model(token, spec.name)
            kind = spec.WhichOneof("version_choice")
            version = spec.version.value if kind == "version" else None
            label = spec.version_label if kind == "version_label" else ""
            return service.status(self.core.manager.status(spec.name, version, label))
        except Exception as error:
            self._end(context, error)
            return get_model_status_pb2.GetModelStatusResponse()

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        """Serve other models, policies or labels from now on; the answer comes when new models do."""
        response = model_management_pb2.ReloadConfigResponse()
        try:
            check_admin(self._admit(context))
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                    "currently supported"
                )
            self.core.manager.reload(self._read(request.config))
            self._log.info("reloaded", models=self.core.manager.names())
        except Exception as error:
            known = self._end(context, error)
            response.status.error_code = int(known.code)
            response.status.error_message = known.message
        return response


def serving_status(ready: bool) -> Any:
    """Health's word for it."""
    statuses = health_pb2.HealthCheckResponse
    return statuses.SERVING if ready else statuses.NOT_SERVING
