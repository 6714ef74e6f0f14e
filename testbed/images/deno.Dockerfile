# Deno, from PyPI.
FROM python:3.13-slim AS fetch
RUN pip install --no-cache-dir --target /fetched deno==2.5.6

FROM debian:bookworm-slim
RUN groupadd --gid 1993 deno && useradd --uid 1993 --gid deno --create-home deno
COPY --from=fetch --chmod=0755 /fetched/bin/deno /usr/bin/deno
ENV DENO_DIR=/deno-dir DENO_TLS_CA_STORE=system
RUN mkdir /deno-dir && chown deno:deno /deno-dir && deno --version
CMD ["deno", "repl"]
