# An image for the machines of a Ray cluster: docs/cluster.md. Give it the Python of your cluster's Ray.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim

WORKDIR /opt/nas
COPY pyproject.toml README.md LICENSE ./
COPY nas nas
COPY search_spaces search_spaces
COPY evaluators evaluators
RUN pip install --no-cache-dir '.[parquet,audio]' && nas --version

# nobody needs root to search; runs belong on a volume or at a URL
RUN useradd --create-home nas
USER nas
WORKDIR /home/nas
CMD ["nas", "--help"]
