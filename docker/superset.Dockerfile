# Superset in the environment of include/bi/requirements.txt, the one that `make bi` installs.
FROM python:3.11.13-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY include/bi/requirements.txt include/bi/requirements-sdist.txt include/bi/
RUN python -m venv /venv \
    && pip install --no-deps --require-hashes --only-binary :all: -r include/bi/requirements.txt \
    && pip install --no-deps --require-hashes --no-build-isolation -r include/bi/requirements-sdist.txt && pip check
COPY include/bi include/bi
COPY docker/entrypoint.sh docker/entrypoint.sh
RUN useradd --uid 50000 --gid 0 --no-create-home --shell /usr/sbin/nologin superset
USER 50000:0
ENTRYPOINT ["/app/docker/entrypoint.sh"]
