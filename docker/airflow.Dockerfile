# Airflow and the warehouse's own code, as the lock has it: the environment that the tests run in. Not on top of
# apache/airflow, whose image brings other versions of the same packages.
FROM python:3.11.13-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.txt ./
RUN python -m venv /venv \
    && pip install --no-deps --require-hashes --only-binary :all: -r requirements.txt && pip check
COPY pyproject.toml README.md LICENSE ./
COPY include include
COPY dags dags
COPY dbt_project dbt_project
COPY docker/entrypoint.sh docker/entrypoint.sh
RUN pip install --no-deps --no-build-isolation -e . \
    && useradd --uid 50000 --gid 0 --no-create-home --shell /usr/sbin/nologin airflow \
    && install -d -o 50000 -g 0 -m 0770 /warehouse /logs
USER 50000:0
ENTRYPOINT ["/app/docker/entrypoint.sh"]
