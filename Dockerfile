# For `astro dev start` alone; docker-compose.yml builds docker/*.Dockerfile. The base image without Astro's own install
# steps, so that the lock decides every version. airflow_settings.yaml makes the pool.
FROM astrocrpublic.azurecr.io/runtime:3.3-2-python-3.11-base
COPY requirements.txt ./
RUN pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements.txt
COPY --chown=astro:0 . .
