# syntax=docker/dockerfile:1
# The worker. The default build can use an NVIDIA GPU (torch brings CUDA in its own wheels, the host only the driver) and runs
# on the CPU as well. A smaller CPU build: --build-arg TORCH=cpu --build-arg TORCH_CPU_INDEX=<PyTorch's index of CPU wheels>.

FROM python:3.11-slim-bookworm AS build
ARG TORCH=cuda
ARG TORCH_CPU_INDEX=
ENV PATH=/opt/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
WORKDIR /build
COPY requirements-runtime.lock deploy/docker/install_requirements.sh ./
RUN sh install_requirements.sh requirements-runtime.lock "$TORCH" "$TORCH_CPU_INDEX"
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/mistudio \
    MPLCONFIGDIR=/var/cache/mistudio \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    MISTUDIO_HTTP__HOST=0.0.0.0
RUN useradd --system --uid 10001 --user-group --no-create-home mistudio \
    && install -d -o mistudio -g mistudio /var/cache/mistudio
COPY --from=build /opt/venv /opt/venv
COPY deploy/embedded/places.py /opt/mistudio/places.py
USER 10001:10001
# /live, /ready, /health: in the container's own network; publish it to nobody who should not see names of jobs.
EXPOSE 8081
# The worker drains at SIGTERM and needs no shell in between to pass it on.
STOPSIGNAL SIGTERM
ENTRYPOINT ["mistudio-worker"]
CMD ["run"]
