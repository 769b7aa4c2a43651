# `docker build -t dcgan-server .` builds the server for CPUs, the only image of this file: builders without BuildKit
# build every stage of a file. app/deploy/Dockerfile has the images for OpenVINO, for GPUs and of the trainer.

# `python3 -m app.deploy.pin` adds the digests of these images. `--build-arg PYTHON_IMAGE=…@sha256:…` takes another one.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# Exactly the files whose hashes are in the lock file, and no code of theirs runs during the build.
FROM ${PYTHON_IMAGE} AS cpu-environment
# For another package index than pip's default: --build-arg PIP_OPTIONS='--index-url …'
ARG PIP_OPTIONS
RUN python3 -m venv --without-pip /venv
COPY requirements.lock app/deploy/sbom.py /
RUN python3 -m pip --python /venv/bin/python install --no-cache-dir $PIP_OPTIONS \
        --require-hashes --only-binary :all: -r /requirements.lock \
    && /venv/bin/python -I /sbom.py > /venv/sbom.cdx.json

FROM ${PYTHON_IMAGE} AS server
WORKDIR /srv
COPY models models
COPY app app
RUN python3 -m compileall -q app

FROM ${PYTHON_IMAGE} AS cpu
LABEL org.opencontainers.image.title="dcgan-server" \
      org.opencontainers.image.description="A model server for DCGAN image generators" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DCGAN_HOST=0.0.0.0
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["python", "-m", "app.deploy.healthcheck"]
ENTRYPOINT ["python", "-m", "app"]
COPY --from=cpu-environment /venv /venv
COPY --from=server /srv /srv
