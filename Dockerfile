# An image that carries all tasks from raw data to registered models:
#
#   docker build -t unroll .
#   docker run --rm -v unroll-project:/project unroll            # unroll repro; what it makes stays in the volume
#   docker run --rm -v unroll-project:/project unroll results
#
# A volume keeps the code of the image that filled it: after a build with other code, name another one.
# PyTorch comes through pip. `--build-arg PIP_EXTRA_INDEX_URL=…` names an index of wheels for the CPU alone, which make
# the image some gigabytes smaller.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /project
COPY requirements.lock ./
RUN pip install -r requirements.lock
# Editable: the code that runs is the code in /project/src, which the stages in dvc.yaml depend on.
COPY pyproject.toml README.md ./
COPY src src
RUN pip install --no-deps --editable .

FROM python:${PYTHON}-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DVC_NO_ANALYTICS=1 \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    GX_ANALYTICS_ENABLED=false \
    GIT_PYTHON_REFRESH=quiet
RUN useradd --create-home --uid 1000 unroll && install -d -o unroll -g unroll /project
COPY --from=build /opt/venv /opt/venv
WORKDIR /project
COPY --chown=unroll:unroll . .
USER 1000
VOLUME /project
ENTRYPOINT ["unroll"]
CMD ["repro"]
