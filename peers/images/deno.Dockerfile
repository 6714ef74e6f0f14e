# Deno, from PyPI.
FROM python:3.12-slim AS fetch
RUN pip install --no-cache-dir --target /fetched deno

FROM debian:bookworm-slim
RUN groupadd --gid 1993 deno && useradd --uid 1993 --gid deno --create-home deno
COPY --from=fetch /fetched/bin/deno /usr/bin/deno
ENV DENO_DIR=/deno-dir DENO_TLS_CA_STORE=system
RUN mkdir /deno-dir && chown deno:deno /deno-dir && deno --version
CMD ["deno", "repl"]
