# Debian's Python under the names of Docker's images: `python`, `pip`, headers, and pip may install into the system.
ARG BASE
FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends netbase python3 python3-dev python3-pip python3-venv tzdata \
 && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED /usr/lib/*/libpython3*.a /usr/lib/python3*/config-*/libpython3*.a \
 && ln -s /usr/bin/python3 /usr/local/bin/python
CMD ["python3"]
