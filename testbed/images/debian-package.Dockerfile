# A language as Debian packages it, under the name of Docker's image of it.
ARG SUITE
FROM debian:${SUITE}-slim
ARG PACKAGE
RUN mkdir -p /usr/share/man/man1 && apt-get update && apt-get install -y --no-install-recommends ${PACKAGE} && rm -rf /var/lib/apt/lists/*
