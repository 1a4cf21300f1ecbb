# The service on NVIDIA GPUs. See docs/operations.md; the image for CPUs is `Dockerfile.cpu`.
#
#   docker build -t edit-rrm:gpu .
#   docker run --gpus all --shm-size 2g --read-only --tmpfs /tmp --cap-drop ALL \
#       --security-opt no-new-privileges -v edit-rrm-cache:/cache -p 8000:8000 \
#       -v /path/to/checkpoint:/model:ro -e EDIT_RRM_MODEL=/model -e EDIT_RRM_API_KEYS=… edit-rrm:gpu
#
# Without EDIT_RRM_MODEL it serves the bundled model, which judges pictures of shapes and nothing else.
# CUDA (13) comes with PyTorch's wheels, the driver (580 or newer) with the host: any Python image with
# glibc 2.31 or newer is a base. The extras are those of README.md's line for serving on a GPU.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# What the service depends on: the large layer, built again only when pyproject.toml changes.
FROM ${PYTHON_IMAGE} AS dependencies
ENV VIRTUAL_ENV=/opt/edit-rrm/venv \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir uv==0.13.9
# --no-config: the overrides in pyproject.toml are for the CPU build of vLLM.
RUN python -m venv --without-pip "$VIRTUAL_ENV" \
 && uv pip install --no-config --requirements pyproject.toml --extra gpu --extra otel

# The service itself: a few megabytes.
FROM dependencies AS application
ENV APPLICATION=/opt/edit-rrm/application
COPY rrm rrm
COPY client client
COPY server server
COPY rrm_training rrm_training
COPY edit_training edit_training
RUN uv pip install --no-deps --target "$APPLICATION" .

FROM ${PYTHON_IMAGE}
# A C compiler, with which Triton builds what launches its kernels.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 edit-rrm \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /cache --shell /usr/sbin/nologin edit-rrm \
 && install --directory --owner 10001 --group 10001 /cache
COPY --from=dependencies /opt/edit-rrm/venv /opt/edit-rrm/venv
COPY --from=application /opt/edit-rrm/application /opt/edit-rrm/application
# The root file system may be read-only: what is written goes to /cache and /tmp.
ENV PATH=/opt/edit-rrm/application/bin:/opt/edit-rrm/venv/bin:$PATH \
    PYTHONPATH=/opt/edit-rrm/application \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    HF_HOME=/cache/huggingface \
    VLLM_CACHE_ROOT=/cache/vllm \
    TORCHINDUCTOR_CACHE_DIR=/cache/torchinductor \
    TRITON_CACHE_DIR=/cache/triton \
    HF_HUB_OFFLINE=1 \
    VLLM_NO_USAGE_STATS=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    EDIT_RRM_HOST=0.0.0.0
VOLUME ["/cache"]
USER 10001:10001
EXPOSE 8000
# Alive, not ready: a replica that loads or drains must not be restarted for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"EDIT_RRM_PORT\", 8000)}/health', timeout=4)"]
ENTRYPOINT ["edit-rrm-server"]
CMD ["serve"]
