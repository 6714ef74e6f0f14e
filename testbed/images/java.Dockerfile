# Debian's OpenJDK as eclipse-temurin. Java has a list of authorities of its own, which Debian's package makes from files with
# one certificate each.
ARG SUITE
FROM debian:${SUITE}-slim
ARG PACKAGE
RUN mkdir -p /usr/share/man/man1 /usr/local/share/ca-certificates \
 && csplit --quiet --elide-empty-files --prefix=/usr/local/share/ca-certificates/machine- --suffix-format=%03d.crt \
    /etc/ssl/certs/ca-certificates.crt '/-----BEGIN CERTIFICATE-----/' '{*}' \
 && update-ca-certificates \
 && apt-get update && apt-get install -y --no-install-recommends ${PACKAGE} && rm -rf /var/lib/apt/lists/*
