# `docker build -t dcgan-server .` builds the server for CPUs;
# `--target openvino`, `--target gpu` and `--target train` build the other images.

# `python3 -m app.deploy.pin` adds the digests of these images. `--build-arg PYTHON_IMAGE=…@sha256:…` takes another one.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# With CUDA 13 and cuDNN 9, which onnxruntime-gpu needs; its distribution has Python 3.11 or newer.
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

# The requirements of each extra as a file, and the versions in the lock file without their hashes. They change less
# often than pyproject.toml, so that the layers that install them stay in the build cache.
FROM ${PYTHON_IMAGE} AS requirements
WORKDIR /requirements
COPY pyproject.toml requirements.lock ./
RUN python3 -c "import re, tomllib; from pathlib import Path; \
project = tomllib.loads(Path('pyproject.toml').read_text())['project']; \
[Path(extra).write_text('\n'.join(project['dependencies'] + more)) \
 for extra, more in project['optional-dependencies'].items()]; \
pins = re.findall(r'^(\w.*?) *.$', Path('requirements.lock').read_text(), re.MULTILINE); \
Path('versions').write_text('\n'.join(pins))"

FROM ${PYTHON_IMAGE} AS server
WORKDIR /srv
COPY models models
COPY app app
RUN python3 -m compileall -q app

# Exactly the files whose hashes are in the lock file, and no code of theirs runs during the build.
FROM ${PYTHON_IMAGE} AS cpu-environment
# For another package index than pip's default: --build-arg PIP_OPTIONS='--index-url …'
ARG PIP_OPTIONS
RUN python3 -m venv --without-pip /venv
COPY requirements.lock app/deploy/sbom.py /
RUN python3 -m pip --python /venv/bin/python install --no-cache-dir $PIP_OPTIONS \
        --require-hashes --only-binary :all: -r /requirements.lock \
    && /venv/bin/python -I /sbom.py > /venv/sbom.cdx.json

FROM ${PYTHON_IMAGE} AS base
LABEL org.opencontainers.image.title="dcgan-server" \
      org.opencontainers.image.description="A model server for DCGAN image generators" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv

FROM base AS service
ENV DCGAN_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["python", "-m", "app.deploy.healthcheck"]
ENTRYPOINT ["python", "-m", "app"]

FROM service AS cpu
COPY --from=cpu-environment /venv /venv
COPY --from=server /srv /srv

FROM ${PYTHON_IMAGE} AS openvino-environment
ARG PIP_OPTIONS
# For CPUs by AMD: --build-arg OPENVINO=openvino-build
ARG OPENVINO=openvino
RUN python3 -m venv --without-pip /venv
COPY app/deploy/sbom.py /
COPY --from=requirements /requirements/versions /versions
COPY --from=requirements /requirements/${OPENVINO} /extra
RUN python3 -m pip --python /venv/bin/python install --no-cache-dir $PIP_OPTIONS -c /versions -r /extra \
    && /venv/bin/python -I /sbom.py > /venv/sbom.cdx.json

FROM service AS openvino
COPY --from=openvino-environment /venv /venv
COPY --from=server /srv /srv

FROM cpu-environment AS train-environment
ARG PIP_OPTIONS
COPY --from=requirements /requirements/versions /requirements/train /requirements/avatars /
RUN python3 -m pip --python /venv/bin/python install --no-cache-dir $PIP_OPTIONS \
        -c /versions -r /train -r /avatars \
    && /venv/bin/python -I /sbom.py > /venv/sbom.cdx.json

FROM base AS train
# Matplotlib and PyTorch write caches to the home folder, which must be writable for any user id.
ENV HOME=/tmp
COPY --from=train-environment /venv /venv
COPY --from=server /srv /srv
COPY training training
USER 10001:10001
ENTRYPOINT ["python", "-m", "training"]

FROM ${CUDA_IMAGE} AS cuda
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*

FROM cuda AS gpu-environment
ARG PIP_OPTIONS
# For the provider tensorrt: --build-arg TENSORRT='tensorrt-cu13-libs<11'
ARG TENSORRT
RUN python3 -m venv /venv
COPY app/deploy/sbom.py /
COPY --from=requirements /requirements/versions /requirements/gpu /
RUN /venv/bin/python -m pip install --no-cache-dir $PIP_OPTIONS -c /versions -r /gpu $TENSORRT \
    && /venv/bin/python -I /sbom.py > /venv/sbom.cdx.json

FROM cuda AS gpu
LABEL org.opencontainers.image.title="dcgan-server" \
      org.opencontainers.image.description="A model server for DCGAN image generators, with CUDA" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DCGAN_HOST=0.0.0.0
WORKDIR /srv
COPY --from=gpu-environment /venv /venv
COPY --from=server /srv /srv
# A new volume takes over the owner of the folder on which it is mounted.
RUN install -d -o 10001 -g 10001 /engines
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["python", "-m", "app.deploy.healthcheck"]
ENTRYPOINT ["python", "-m", "app"]

# `docker build` without a target builds the last stage.
FROM cpu
