# As Docker's buildpack-deps:SUITE-scm: Debian with clients for downloads and version control.
ARG SUITE
FROM debian:${SUITE}-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
    ca-certificates curl git gnupg mercurial netbase openssh-client procps subversion tzdata wget \
 && rm -rf /var/lib/apt/lists/*
