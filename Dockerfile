# The full install: all commands, training on the CPU. docker build -t deepnmf .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" deepnmf enhance noisy.wav
FROM python:3.11-slim-bookworm
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# torch's CPU build: PyPI has the CUDA one, several GB
# hadolint ignore=DL3013
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir ".[formats,onnx,pesq,plot]"
USER 65534:65534
WORKDIR /data
ENTRYPOINT ["deepnmf"]
CMD ["--help"]
