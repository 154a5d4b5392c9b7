# The commands as an image: docker build -t crack_lightning . and
# docker run --rm -v /photos:/photos:ro -v "$PWD/results:/results" crack_lightning inspect source=/photos out=/results/bridge
# PyPI's torch brings CUDA on x86-64. For a small image name the index of PyTorch's builds for the CPU, as its page
# "Get started" gives it: --build-arg TORCH_INDEX=...
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ARG TORCH_INDEX=""
RUN python3 -m venv /opt/venv
RUN if [ -n "$TORCH_INDEX" ]; then /opt/venv/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision; fi
COPY pyproject.toml README.md LICENSE /src/
COPY conf /src/conf
COPY crack_lightning /src/crack_lightning
RUN /opt/venv/bin/pip install --no-cache-dir "/src[offline,onnx,openvino,reports,heif,page]"

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
# No home is needed: what is kept between runs is in the cache, results go to the working directory.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin XDG_CACHE_HOME=/cache MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
# Each opens libraries of the system, of which a slim image lacks some: better that building fails than a verb.
RUN python3 -c "import cv2, docx, ezdxf, fastapi, onnxruntime, openvino, pillow_heif, skimage, torchvision, uvicorn"
RUN mkdir /results /cache && chmod 1777 /results /cache
WORKDIR /results
USER 10001:10001
EXPOSE 8765
ENTRYPOINT ["crack"]
CMD ["--help"]
