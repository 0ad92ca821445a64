# The image of setup, worker and dashboard: one Python environment and the source tree. What is left out on purpose: the
# embedded stack (local/, extra `local`), tests, development tools, and every secret (they come at run time).

ARG PYTHON_IMAGE=python:3.11.16-slim-trixie

FROM ${PYTHON_IMAGE} AS environment
# The cache is named, so that it does not depend on whose home the build runs in.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CACHE_DIR=/var/cache/pip
WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY pyproject.toml constraints.txt ./
# Only the dependencies, at the pinned versions: the source is run from /app, so that a change of it rebuilds no layer
# here and no second copy of it lies in site-packages.
RUN python -c "import pathlib, tomllib; print(*tomllib.loads(pathlib.Path('pyproject.toml').read_text())['project']['dependencies'], sep='\n')" > requirements.txt
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --only-binary=:all: --constraint constraints.txt --requirement requirements.txt && pip check

FROM ${PYTHON_IMAGE} AS runtime
# Logs leave at once; no .pyc is written, because the user may not write to /app.
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
# app.py, the dashboard, is copied once it exists: a pattern may match nothing.
COPY settings.py worker.py starter.py app.p[y] ./
RUN python -m compileall -q /app
# By number, so that an orchestrator can tell that it is not root.
USER 10001:10001
ENTRYPOINT ["python"]
CMD ["worker.py"]
