# The image that nodes run in on a cluster (`make image`; docs/compile.md).
# The packages of requirements.lock with their hashes, without those of tests and notebooks; Spanwise; no build tools.
ARG PYTHON=3.10

FROM python:${PYTHON}-bookworm AS packages
WORKDIR /build
COPY requirements.in requirements.lock build-constraints.txt ./
COPY tools/image_requirements.py tools/
RUN python tools/image_requirements.py --installer > installer.txt \
 && python tools/image_requirements.py > packages.txt \
 && python -m pip install --no-cache-dir --no-deps --require-hashes --requirement installer.txt
# Bytecode here: a user who may not write would compile it anew, 11 s of CPU at the start of every node.
# TensorFlow's headers and the C++ front end are 0.5 GB that only a compiler reads.
RUN python -m venv --without-pip /opt/spanwise \
 && uv pip install --python /opt/spanwise/bin/python --no-cache --no-deps --require-hashes --compile-bytecode \
        --build-constraint build-constraints.txt --requirement packages.txt \
 && rm -rf /opt/spanwise/lib/python3.10/site-packages/tensorflow/include \
        /opt/spanwise/lib/python3.10/site-packages/clang/native

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="Spanwise" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /opt/spanwise /opt/spanwise
# What the image is made of tells its tag, in here too: a scheduled submit names the image that it runs in.
COPY LICENSE Dockerfile requirements.in requirements.lock build-constraints.txt /app/
COPY tools/image_requirements.py /app/tools/
COPY components /app/components
COPY serving /app/serving
COPY pipeline /app/pipeline
# Kubeflow's launcher brings artifacts to /gcs, /s3 and /minio; without its volumes they are folders of ours.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app \
 && mkdir /gcs /s3 /minio /work && chown 10001:10001 /gcs /s3 /minio /work
ENV PATH=/opt/spanwise/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TF_CPP_MIN_LOG_LEVEL=2
# By number: Kubernetes refuses a name where a pod must not run as root (runAsNonRoot).
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["python", "-m", "pipeline"]
CMD ["--help"]
