# The image of setup and worker: one Python environment and the source tree. Left out: the local stack (local/, extra
# `local`), tests, development tools, and every secret (set at run time).

ARG PYTHON_IMAGE=python:3.11.16-slim-trixie

FROM ${PYTHON_IMAGE} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CACHE_DIR=/var/cache/pip
WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY pyproject.toml constraints.txt ./
# Only the pinned dependencies: the source runs from /app, so a change of it rebuilds no layer here.
RUN python -c "import pathlib, tomllib; print(*tomllib.loads(pathlib.Path('pyproject.toml').read_text())['project']['dependencies'], sep='\n')" > requirements.txt
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --only-binary=:all: --constraint constraints.txt --requirement requirements.txt && pip check

FROM ${PYTHON_IMAGE} AS runtime
# Logs are not buffered; no .pyc is written because the user cannot write to /app.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/venv/bin:$PATH
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid app --create-home --shell /usr/sbin/nologin app
WORKDIR /app
COPY --from=environment /opt/venv /opt/venv
COPY domain domain
COPY store store
COPY crm crm
COPY mcp_client mcp_client
COPY pms pms
COPY search search
COPY web web
COPY agents agents
COPY grounding grounding
COPY activities activities
COPY workflows workflows
COPY runtime runtime
COPY usecases usecases
COPY cli cli
COPY settings.py worker.py starter.py pyproject.toml ./
RUN python -m compileall -q /app
# By number, so that an orchestrator sees that it is not root.
USER 10001:10001
ENTRYPOINT ["python"]
CMD ["worker.py"]
