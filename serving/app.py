"""Puts a server together: models, core, REST on uvicorn, gRPC; starts and ends them in order."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import socket
import threading
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving import config as configuration
from serving.batching import Batcher
from serving.config import Config
from serving.core import Core, CoreOptions
from serving.errors import Code, ConfigError, ServingError
from serving.loading import Loader
from serving.logs import Log
from serving.manager import Manager
from serving.metrics import Gauge, Metrics
from serving.page import Page
from serving.recording import Recorder
from serving.request_log import RequestLog
from serving.rest import Rest, RestOptions
from serving.rpc import SERVICES, ModelService, PredictionService, handlers, serving_status
from serving.runtime import Threads
from serving.web import Web

_CORES = os.cpu_count() or 1
_HEALTH = "grpc.health.v1.Health"


class App:
    """One server. `core.on_request` and `rest.pages` may be set before `run`."""

    def __init__(self, config: Config, log: Log) -> None:
        flags = config.flags
        self._config, self._flags, self._log = config, flags, log
        metrics = Metrics()
        load = Loader(
            metrics,
            log,
            tags=tuple(flags.saved_model_tags.split(",")),
            threads=Threads(flags.tensorflow_inter_op_parallelism, flags.tensorflow_intra_op_parallelism),
            warm_up=flags.enable_model_warmup,
            iterations=max(flags.num_request_iterations_for_warmup, 1),
            check_method=flags.enable_signature_method_name_check,
        )
        manager = Manager(load, config.manager, log)
        batcher = Batcher(config.batching, _CORES, metrics) if config.batching else None
        core_options = CoreOptions(
            check_method=flags.enable_signature_method_name_check,
            as_content=flags.enable_serialization_as_tensor_content,
        )
        self.core = Core(manager, metrics, batcher, core_options)
        options = RestOptions(
            timeout_seconds=flags.rest_api_timeout_in_ms / 1000,
            threads=flags.rest_api_num_threads,
            most_bytes=flags.max_request_bytes,
            most_waiting=flags.max_waiting_requests,
            cors=flags.rest_api_enable_cors_support,
            metrics_path=config.metrics_path,
        )
        self.rest = Rest(self.core, config.guard, options, log)
        if config.guard.idle:
            self.rest.pages = Page(self.core)
        self._recorder = _recorder(config, self.core)
        self.core.on_request = self._recorder
        self._health = health.HealthServicer()
        self._grpc: Any = None
        self._told_to_stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def run(self) -> None:
        """Load, listen, and return after SIGTERM, SIGINT or `stop`, when requests under way are answered.

        Raises:
          ServingError: the models do not load, or gRPC cannot listen.
          OSError: REST cannot listen.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop())
        listener = self._listener()
        try:
            self.core.manager.start(self._config.models)
            if not self._told_to_stop.is_set():
                uvloop.run(self._serve(listener))
        finally:
            self.core.manager.stop()
            if self.core.batcher is not None:
                self.core.batcher.stop()
            if self._recorder is not None:
                self._recorder.close()
            if listener is not None:
                listener.close()

    def stop(self) -> None:
        """Have `run` return; from any thread, or a signal's handler."""
        self._told_to_stop.set()
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)

    async def _serve(self, listener: socket.socket | None) -> None:
        self._loop = asyncio.get_running_loop()
        stopping = self._stopping = asyncio.Event()
        flags = self._flags
        self._start_grpc()
        if listener is not None:
            listener.listen(2048)  # who reads "serving" may connect at once
        web = Web(self.rest, self._config.tls, flags.shutdown_grace_seconds) if listener is not None else None
        serving = asyncio.ensure_future(web.serve([listener])) if web and listener else None
        watching = asyncio.ensure_future(self._watch(web))
        self._log.info(
            "serving",
            host=flags.host,
            grpc_port=flags.port,
            rest_api_port=flags.rest_api_port,
            models=self.core.manager.names(),
            pid=os.getpid(),
            message=_listening(flags),
        )
        if not self._told_to_stop.is_set():
            await stopping.wait()
        self._log.info("stopping", grace_seconds=flags.shutdown_grace_seconds)
        watching.cancel()
        self._health.enter_graceful_shutdown()
        ended = self._grpc.stop(flags.shutdown_grace_seconds) if self._grpc is not None else None
        if web is not None and serving is not None:
            web.should_exit = True
            await serving
        if ended is not None:
            await self._requests_answered(ended)
        self._log.info("stopped")

    async def _requests_answered(self, ended: threading.Event) -> None:
        """Wait for gRPC's requests under way, not for connections on which there is none.

        Left to itself, gRPC waits up to 20 s until each client has heard that it is going; clients that sit there
        listen every 5 s or never.
        """
        loop = asyncio.get_running_loop()
        state = getattr(self._grpc, "_state", None)
        under_way = getattr(state, "rpc_states", None)  # a release that has no such set waits as gRPC does
        while not await loop.run_in_executor(None, ended.wait, 0.1):
            if under_way is not None and not under_way:
                self._grpc.stop(None)
                under_way = None

    async def _watch(self, web: Web | None) -> None:
        """Keep health up to date, end connections that are stuck, read the models' file again where that is wanted."""
        every, since, known = self._flags.model_config_file_poll_wait_seconds, 0.0, ""
        loop = asyncio.get_running_loop()
        while True:
            status = serving_status(self.core.manager.ready())
            for name in ("", *SERVICES):
                self._health.set(name, status)
            if web is not None:
                web.close_stuck(loop.time())
            await asyncio.sleep(0.25)
            since += 0.25
            if every > 0 and self._flags.model_config_file and since >= every:
                since = 0.0
                known = await loop.run_in_executor(None, self._reread, known)

    def _reread(self, known: str) -> str:
        path = self._flags.model_config_file
        try:
            text = path.read_text()
            if text != known:
                self.core.manager.reload(configuration.read_models(path))
            return str(text)
        except (OSError, ConfigError, ServingError) as error:
            self._log.error("config_not_read", file=str(path), error=str(error))
            return ""

    # --- REST ---

    def _listener(self) -> socket.socket | None:
        if not self._flags.rest_api_port:
            return None
        family = socket.AF_INET6 if ":" in self._flags.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._flags.host, self._flags.rest_api_port))
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"--rest_api_port {self._flags.rest_api_port}: {error.strerror}") from error
        return listener

    # --- gRPC ---

    def _start_grpc(self) -> None:
        flags = self._flags
        if not flags.port and not flags.grpc_socket_path:
            return
        threads = flags.grpc_max_threads or (128 if self.core.batcher is not None else 4 * _CORES)
        limit = -1 if flags.max_request_bytes >= 1 << 31 else flags.max_request_bytes
        options = [
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            *self._config.channel_arguments,
        ]
        server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads, "grpc"),
            options=options,
            maximum_concurrent_rpcs=threads + flags.max_waiting_requests,
        )
        core, guard, log = self.core, self._config.guard, self._log
        prediction = PredictionService(core, guard, log)
        server.add_generic_rpc_handlers((handlers(prediction),))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
        models = ModelService(core, guard, log, configuration.models_of)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*SERVICES, _HEALTH, reflection.SERVICE_NAME), server)
        if flags.port:
            host = f"[{flags.host}]" if ":" in flags.host and not flags.host.startswith("[") else flags.host
            self._bind(server, f"{host}:{flags.port}", f"--port {flags.port}")
        if flags.grpc_socket_path:
            self._bind(server, f"unix:{flags.grpc_socket_path}", f"--grpc_socket_path {flags.grpc_socket_path}")
        server.start()
        self._grpc = server

    def _bind(self, server: Any, address: str, flag: str) -> None:
        tls = self._config.tls
        try:
            if tls is None:
                bound = server.add_insecure_port(address)
            else:
                pair = [(tls.key, tls.certificate)]
                credentials = grpc.ssl_server_credentials(pair, tls.client_ca or None, bool(tls.client_ca))
                bound = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ServingError(Code.UNAVAILABLE, f"{flag}: {error}") from error
        if not bound and not address.startswith("unix:"):
            raise ServingError(Code.UNAVAILABLE, f"{flag}: cannot listen there")


def _listening(flags: Any) -> str:
    """TensorFlow Serving's own lines, for which scripts wait."""
    found = []
    if flags.port:
        found.append(f"Running gRPC ModelServer at {flags.host}:{flags.port} ...")
    if flags.rest_api_port:
        found.append(f"Exporting HTTP/REST API at:localhost:{flags.rest_api_port} ...")
    return " ".join([*found, "Entering the event loop ..."])


def _recorder(config: Config, core: Core) -> Recorder | None:
    """The request log, if there is to be one.

    Raises:
      ConfigError: its folder cannot be written to.
    """
    if config.request_log is None:
        return None
    try:
        log = RequestLog(config.request_log)
    except OSError as error:
        raise ConfigError(f"--request_log_dir {config.request_log.directory}: {error.strerror}.") from error
    core.metrics.add(Gauge(":spanwise:serving:request_log_lost", lambda: log.lost))
    return Recorder(log, core.manager)
