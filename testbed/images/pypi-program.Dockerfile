# A static program that is published on PyPI, alone in an image to copy it from: `COPY --from=ghcr.io/astral-sh/uv /uv /bin/`.
FROM python:3.13-slim AS fetch
ARG PACKAGE
RUN pip install --no-cache-dir --target /fetched ${PACKAGE}

FROM scratch
ARG FOLDER=/
COPY --from=fetch /fetched/bin/ ${FOLDER}
